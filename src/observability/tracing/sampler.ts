import { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, type Sampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';
import type { TracingSettings } from './tracing-settings.ts';

const PARENT_BASED = 'parentbased_';

/**
 * The choice of the traces that are recorded. `parentbased_`: those that the caller records, and of those that begin
 * here the ones that the rest of the name says.
 */
export function samplerOf({ sampler, ratio }: Pick<TracingSettings, 'sampler' | 'ratio'>): Sampler {
  if (!sampler.startsWith(PARENT_BASED)) return rootSampler(sampler, ratio);
  return new ParentBasedSampler({ root: rootSampler(sampler.slice(PARENT_BASED.length), ratio) });
}

function rootSampler(name: string, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    default:
      return new TraceIdRatioBasedSampler(ratio);
  }
}
