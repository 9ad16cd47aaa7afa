import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { logIn, register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';

const service = useService({ METRICS_PORT: '0' });

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const dashboard = JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../../docs/grafana/identity.json'), 'utf8')) as Dashboard;
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

/** Given by whoever reads the metrics. */
const LABELS_OF_PROMETHEUS = ['job', 'instance'];
const FUNCTIONS = ['sum', 'max', 'by', 'rate', 'increase', 'histogram_quantile', 'label_values'];

/** The values that each label of each metric has had: `{ metric → { label → values } }`. */
type Exposed = Map<string, Map<string, Set<string>>>;

let exposed: Exposed;

beforeAll(async () => {
  const { email } = await register(service);
  await logIn(service, email);
  for (let time = 0; time < 5; time++) await expectStatus(logIn(service, email, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  exposed = read(await (await fetch(`http://127.0.0.1:${service.app.metricsPort}/metrics`)).text());
});

function read(text: string): Exposed {
  const metrics: Exposed = new Map();
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = metrics.get(name) ?? new Map<string, Set<string>>();
    metrics.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g))
      known.set(label, (known.get(label) ?? new Set()).add(value));
  }
  return metrics;
}

interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

/** What a query names: metrics with their matchers, and the labels that it groups by. */
function namesIn(expr: string): { metrics: { name: string; matchers: Matcher[] }[]; groupedBy: string[] } {
  const metrics = [...expr.matchAll(/([a-z]\w*)\s*(?:\{([^}]*)\})/g)].map(([, name = '', matchers = '']) => ({
    name,
    matchers: [...matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(([, label = '', operator = '', value = '']) => ({
      label,
      operator,
      value,
    })),
  }));
  const groupedBy = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(/,\s*/));
  return { metrics, groupedBy };
}

describe('the dashboard', () => {
  it('has panels that ask for something', () => {
    const charts = dashboard.panels.filter(({ type }) => type !== 'row');
    expect(charts.length).toBeGreaterThan(15);
    for (const { title, targets } of charts) expect(targets?.length, title).toBeGreaterThan(0);
  });

  it.each(queries)('asks for metrics and labels that the service has: $title, $expr', ({ expr }) => {
    const { metrics, groupedBy } = namesIn(expr);
    const words = expr.replace(/\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)/g, ' ').match(/[a-z]\w*/g) ?? [];
    expect(words.filter((word) => !FUNCTIONS.includes(word)).sort()).toEqual(metrics.map(({ name }) => name).sort());
    for (const { name, matchers } of metrics) {
      const labels = exposed.get(name);
      expect(labels, name).toBeDefined();
      const asked = [...matchers.map(({ label }) => label), ...groupedBy].filter((label) => !LABELS_OF_PROMETHEUS.includes(label));
      expect([...(labels?.keys() ?? [])], name).toEqual(expect.arrayContaining(asked));
      for (const { label, operator, value } of matchers)
        if (operator === '=') expect([...(labels?.get(label) ?? [])], name).toContain(value);
    }
  });

  it('shows every metric of ours', () => {
    const shown = new Set(queries.flatMap(({ expr }) => namesIn(expr).metrics.map(({ name }) => familyOf(name))));
    const ours = [...exposed.keys()].filter((name) => name.startsWith('identity_')).map(familyOf);
    expect([...new Set(ours)].filter((family) => !shown.has(family))).toEqual([]);
  });

  it('finds its instances by a metric that there is', () => {
    const asked = dashboard.templating.list.flatMap(({ definition }) => /identity_\w+/.exec(definition ?? '') ?? []);
    expect(asked.length).toBeGreaterThan(0);
    for (const name of asked) expect(exposed.has(name)).toBe(true);
  });
});

/** A histogram is a metric under three names. */
function familyOf(name: string): string {
  return name.replace(/_(bucket|sum|count)$/, '');
}
