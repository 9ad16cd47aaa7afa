/** A hash that another implementation has made. */
export interface Vector {
  readonly origin: string;
  readonly password: string;
  readonly hash: string;
}

/**
 * Made with Python 3.11: its hashlib (OpenSSL) and crypt (libxcrypt of Debian 12), and with passlib 1.7.4, argon2-cffi 25.1.0, bcrypt 5.0.0
 * and Django 5.2.19 from PyPI; cheap parameters, for the tests to be quick. The one of Firebase is the example that it has published with
 * its scrypt (github.com/firebase/scrypt, README).
 */
export const VECTORS: readonly Vector[] = [
  {
    origin: 'bcrypt 5.0.0 (Python), $2b$',
    password: 'user1password',
    hash: '$2b$06$IRR8P31gSXtd3zjXfasfCuVt5ljoA82Q30u.c0MQBCB62xqm3uTrG',
  },
  {
    origin: 'bcrypt 5.0.0 (Python), $2b$, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$2b$05$KMY.NzeOM3Q7JBwTxFNDGuFmS4W52ssOuVy5tLXOvBtIb3WIVakXy',
  },
  {
    origin: 'bcrypt 5.0.0 (Python), $2a$, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$2a$05$f8ljPHmO7xLGvpEzgNKr0ueVtgf0FoyCQigLp.xUKdjEM.o8fqNwq',
  },
  {
    origin: 'libxcrypt (crypt of Debian), $2y$, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$2y$05$fOCYPVd5KrFQlBIhwiCJkeoJKSYPrJnc095ZNdaCQeNRE/hbcN3IW',
  },
  {
    origin: 'libxcrypt, $2a$, 80 bytes, of which it takes 72',
    password: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567tail-end',
    hash: '$2a$05$HKyghiPtYvc/xO2C2MBwZuTmIV9Wbs6K24A0qV.10ZhUsz2iZLmem',
  },
  {
    origin: 'argon2-cffi 25.1.0, argon2id',
    password: 'user1password',
    hash: '$argon2id$v=19$m=8192,t=2,p=1$cSjXBQtNIsKZbZ++JsTHpA$02rsderYDRrwAuhv2WujxNUmGMrHmnYlaza+kAn6cEk',
  },
  {
    origin: 'argon2-cffi 25.1.0, argon2id, four lanes, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$argon2id$v=19$m=4096,t=3,p=4$VrNKdJxgOfM$N54wGENQWNsG08/C1I23/UD1JlMCeAyaXLC9Kkyt7e1LaG3G5M+qAEn/YQsNgWAIfp37xDUNybYwycZpaDtjew',
  },
  {
    origin: 'argon2-cffi 25.1.0, argon2i, hash of 16 bytes, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$argon2i$v=19$m=1024,t=3,p=2$tVIXcZJ2u4st6wRxKpl+3Q$KSs+5dC4KHynrXklp2YIYw',
  },
  {
    origin: 'passlib 1.7.4, scrypt',
    password: 'user1password',
    hash: '$scrypt$ln=12,r=8,p=1$sTaG8L63llIKwbh3jvHeew$5n+r5If7iOg2lceTFKD2u+ueFn9EqPolhdPP1cAq4gE',
  },
  {
    origin: 'passlib 1.7.4, scrypt, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$scrypt$ln=10,r=4,p=3$glDKGYMQIoSQ0poTQmit9Q$Br4/Tr3N9u8r0SgR1WI4zTrWfcmh7HRHm9RJgYdL6/E',
  },
  {
    origin: 'hashlib.scrypt (OpenSSL), hash of 64 bytes, padded base64, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$scrypt$ln=11,r=8,p=2$uXkENT7mop03F2T6o1PORukpuvEh1C6E$wxT9JeFMymEji8BkFxNVh3UIZJ4uAq7sOsES1BNzTcfGaNks7k0koE0PvOwLuK3N8RejO/JVXRslTzdCtW6HpA==',
  },
  {
    origin: 'Firebase, its published example',
    password: 'user1password',
    hash: '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  },
  {
    origin: 'passlib 1.7.4, PBKDF2 with SHA-256',
    password: 'user1password',
    hash: '$pbkdf2-sha256$29000$Z4xRSuk9x9j7PweAcI5xzg$1sWnN7yf9kA7yQcpgViR9OIKKq.H4f4xPwnFSTYWC1g',
  },
  {
    origin: 'passlib 1.7.4, PBKDF2 with SHA-256, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$pbkdf2-sha256$1000$....//vvvv/77w$a/VGf4XOmzOHy6VGup9QQZ7LpR9xKYTPCrXs11PUtKw',
  },
  {
    origin: 'passlib 1.7.4, PBKDF2 with SHA-1',
    password: 'grüße 🔑 пароль',
    hash: '$pbkdf2$1200$6P2/N4Zwbq2VMkaIkTJmjA$/0XK/efG8mYnX.2u/XJIckkH8fQ',
  },
  {
    origin: 'passlib 1.7.4, PBKDF2 with SHA-512',
    password: 'grüße 🔑 пароль',
    hash: '$pbkdf2-sha512$1100$wxiDUCrF2Pt/T4kRotSa0w$LXVvGamBOplxwoDedB2OehJs1wlNLd6fVlANueu73iK0B90Ekhf9zuNZYjZp5Z73flf6AkA424ucB0dsaTcjIQ',
  },
  {
    origin: 'hashlib.pbkdf2_hmac (OpenSSL), PHC with SHA-256, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: '$pbkdf2-sha256$i=6000$tZDI9cVqTHEUqtPpupCvQw$ndm4MHwf9YUANczOigr48UyeZ0/JXiu/FdLhyoQuGnQ',
  },
  {
    origin: 'hashlib.pbkdf2_hmac (OpenSSL), PHC with SHA-512 and a length',
    password: 'user1password',
    hash: '$pbkdf2-sha512$i=5000,l=32$tZDI9cVqTHEUqtPpupCvQw$eGcl1zzawXD4/g5gFEHmJ9IWBVkEvgv+LH7ouU4DNf0',
  },
  {
    origin: 'hashlib.pbkdf2_hmac (OpenSSL), PHC with SHA-1',
    password: 'user1password',
    hash: '$pbkdf2$i=4000$tZDI9cVqTHEUqtPpupCvQw$gtVKxl5OstWmKvEQ53N5tR3wJ9M',
  },
  {
    origin: 'Django 5.2.19, PBKDF2PasswordHasher',
    password: 'user1password',
    hash: 'pbkdf2_sha256$20000$oLTNJY4clYnzr6ffPj7A4x$a6DQx1WBi3UTEjdmp5D3vRWY1TYDYH/6z7U90vpm5Ys=',
  },
  {
    origin: 'Django 5.2.19, PBKDF2PasswordHasher, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: 'pbkdf2_sha256$5000$cHW7vESSK6phFKHzEypa5J$a/piNesWsbuOTJx/8ppHwczhWm4g79qY/92lD/JH1Ng=',
  },
  {
    origin: 'Django 5.2.19, PBKDF2SHA1PasswordHasher, not ASCII',
    password: 'grüße 🔑 пароль',
    hash: 'pbkdf2_sha1$5000$k57GukYYDonYEIEJOwt5O0$Au6ST9/k9il/xmGGZz9xWELUpOQ=',
  },
];
