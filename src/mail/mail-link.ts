/**
 * A link in a mail. The pattern has places for the action and the token, e.g. `https://app.example.com/{action}?token={token}`; one without
 * a place for the token is a base that is completed: with the action in its path and the token in its query.
 */
export function linkTo(pattern: string, action: string, token: string): string {
  const complete = pattern.includes('{token}') ? pattern : completed(pattern);
  return complete.replaceAll('{action}', action).replaceAll('{token}', encodeURIComponent(token));
}

function completed(base: string): string {
  const [path = '', query] = base.split(/\?(.*)/s);
  const place = path.includes('{action}') ? path : `${path.replace(/\/*$/, '')}/{action}`;
  return `${place}?${query ? `${query}&` : ''}token={token}`;
}
