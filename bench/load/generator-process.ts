import { type Burst, Load, type LoadSettings } from './load.ts';

export type GeneratorRequest =
  | { readonly kind: 'open'; readonly load: number; readonly settings: LoadSettings }
  | { readonly kind: 'burst'; readonly load: number; readonly seconds: number }
  | { readonly kind: 'close'; readonly load: number };

export interface GeneratorAnswer {
  readonly id: number;
  readonly burst?: Burst | undefined;
  readonly failure?: string | undefined;
}

const loads = new Map<number, Load>();

process.on('message', (request: GeneratorRequest & { id: number }) => {
  serve(request).then(
    (burst) => answer({ id: request.id, burst }),
    (error: unknown) => answer({ id: request.id, failure: error instanceof Error ? error.message : String(error) }),
  );
});
// Whoever conducts is gone.
process.on('disconnect', () => process.exit(1));

async function serve(request: GeneratorRequest): Promise<Burst | undefined> {
  if (request.kind === 'open') {
    loads.set(request.load, new Load(request.settings));
    return undefined;
  }
  const load = loads.get(request.load);
  if (request.kind === 'burst') return load?.burst(request.seconds);
  load?.close();
  loads.delete(request.load);
  return undefined;
}

function answer(message: GeneratorAnswer): void {
  process.send?.(message);
}
