import type { CheckResult, Diagnosis, Failure, RunReport } from '../../harness/runner/result.js';

/** One small report with every status in it. */
export function result(changes: Partial<CheckResult> = {}): CheckResult {
  return {
    id: 'PS-M1-01',
    requirement: 'PS-M1-01',
    title: 'M1 is answered with salt and public key',
    level: 'MUST',
    chapter: 'pair-setup.m1-m2',
    file: 'suites/pair-setup/m1-m2.ts',
    source: '002 §2.4',
    kind: 'check',
    status: 'pass',
    reason: undefined,
    message: '',
    failure: undefined,
    observations: {},
    startedAt: '2026-11-03T10:00:00.123Z',
    durationMs: 12.5,
    ...changes,
  };
}

export const failure: Failure = {
  requirement: 'A wrong proof is refused, or anyone can pair.',
  allowed: ['TLV error 2 (Authentication) in state 4'],
  seen: 'M4 carries a Proof',
  exchange: ['→ M3 State=3 PublicKey[384] Proof[64]', '← M4 State=4 Proof[64]'],
  reproduce: 'hapspec run embedded --only PS-M3-04 --seed 7 --code "$HAPSPEC_CODE"',
};

/** One cause of the failure of the sample, what may be in its place, and a failure that nothing explains. */
export const diagnosis: Diagnosis = {
  failures: 2,
  warnings: 0,
  causes: [
    {
      fault: 'accepts-any-proof',
      class: ['compares-nothing'],
      words: 'proof received, never compared',
      explains: ['PS-M3-04'],
      against: ['PS-M1-01'],
      confidence: 0.96,
      decisive: 'PS-M3-04',
    },
    {
      fault: 'proof-bits-masked',
      class: [],
      words: 'a bit of the proof is not compared',
      explains: ['PS-M3-04'],
      against: [],
      confidence: 0.03,
      insteadOf: 'accepts-any-proof',
    },
  ],
  unexplained: ['PV-M3-01'],
  next: {
    id: 'PS-M3-06/0-bytes',
    between: ['accepts-any-proof', 'compares-nothing'],
    price: '1 M2',
    command: "npx hapspec run embedded --only 'PS-M3-06/0-bytes' --seed 7",
  },
};

export function report(changes: Partial<RunReport> = {}): RunReport {
  return {
    tool: { name: 'hapspec', version: '0.1.0' },
    target: 'embedded',
    accessory: { id: 'AA:BB:CC:DD:EE:FF' },
    seed: '7',
    strict: false,
    command: 'hapspec run embedded --seed 7',
    startedAt: '2026-11-03T10:00:00.123Z',
    results: [
      result(),
      result({
        id: 'PS-M1-06',
        requirement: 'PS-M1-06',
        title: 'Flags in M2',
        level: 'VARIES',
        reason: 'observed',
        message: 'no Flags',
        observations: { flags: 'absent' },
      }),
      result({
        id: 'PS-M3-04',
        requirement: 'PS-M3-04',
        title: 'Wrong setup code',
        chapter: 'pair-setup.m3-m4',
        file: 'suites/pair-setup/m3-m4.ts',
        status: 'fail',
        reason: 'forbidden',
        message: 'M4 carries a Proof',
        failure,
      }),
      result({
        id: 'PS-M3-06/0-bytes',
        requirement: 'PS-M3-06',
        title: 'Proof of 0 bytes',
        chapter: 'pair-setup.m3-m4',
        status: 'warn',
        reason: 'tolerated',
        message: 'closed instead of an error',
        failure: { ...failure, seen: 'close' },
      }),
      result({
        id: 'PV-M1-01',
        requirement: 'PV-M1-01',
        title: 'Pair Verify starts',
        chapter: 'pair-verify.m1-m2',
        status: 'skip',
        reason: 'dependency',
        message: 'needs PS-M5-01',
      }),
      result({
        id: 'PV-M3-01',
        requirement: 'PV-M3-01',
        title: 'Pair Verify ends',
        chapter: 'pair-verify.m3-m4',
        status: 'error',
        reason: 'setup',
        message: 'could not pair',
      }),
    ],
    price: { m2: 4, m4: 2, m6: 0, verifies: 0, attempts: 1, resets: 0, wallMs: 1234, accessoryMs: 900 },
    timing: { M2: { count: 3, totalMs: 4200, longestMs: 2100 } },
    aftermath: { clean: true, message: 'as it was found: unpaired' },
    exit: { code: 1, meaning: 'at least one check failed' },
    ...changes,
  };
}

/** Text an accessory could send to break a report, a terminal or a CI system. */
export const hostileTexts: readonly string[] = [
  '\u0000\u0001\u0008\u000b\u001f\u007f\u0085\u009b31m',
  '\u001b[31mred\u001b[0m\u001b]0;title\u0007',
  'lone \ud800 and \udc00 surrogates, \ufffe\uffff',
  ']]> <![CDATA[ ]]>',
  '<failure message="x">&amp;&#0;&#x1b;</failure>',
  '\'"><script>',
  'bidi \u202e\u2066\u2069\u200f\u061c',
  'line\r\n::error::forged\n##[set-env name=A]b ##vso[task.complete] ##teamcity[x]',
  '--> <!-- <?xml?>',
];

/** The sample with `text` in every string an accessory, a user or a check writes. */
export function reportFullOf(text: string, strict = false): RunReport {
  const sample = report();
  const hostile: Failure = {
    requirement: text,
    allowed: [text, text],
    seen: text,
    exchange: [text, text],
    reproduce: text,
  };
  return report({
    tool: { name: 'hapspec', version: text },
    target: text,
    accessory: { [text]: text },
    seed: text,
    strict,
    command: text,
    startedAt: text,
    results: sample.results.map(({ status, reason, level, kind }, index) => ({
      id: text,
      requirement: text,
      title: text,
      level,
      chapter: index % 2 === 0 ? text : `${text}.${text}`,
      file: text,
      source: text,
      kind,
      status,
      reason,
      message: text,
      failure: index % 3 === 0 ? undefined : hostile,
      observations: { [text]: text, second: text },
      startedAt: text,
      durationMs: index,
    })),
    aftermath: { clean: false, message: text },
    exit: { code: 1, meaning: text },
  });
}
