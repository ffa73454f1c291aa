import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { expect } from 'chai';
import { prepareRun } from '../../harness/conformance.js';
import type { Bench } from '../../harness/device/index.js';
import { fromHex, hex, utf8 } from '../../harness/protocol/index.js';
import { html } from '../../harness/report/html/page.js';
import {
  Capture,
  SecretIndex,
  beginCapture,
  captureHead,
  endCapture,
  json,
  junit,
  sarif,
  summaryMarkdown,
} from '../../harness/report/index.js';
import type { RunReport } from '../../harness/runner/index.js';
import type { ConformanceOptions } from '../../harness/wanted.js';
import type { TraceEvent } from '../../harness/wire/index.js';
import { endChildren, startHapspec } from '../cli/process.js';

const tshark = ['/usr/bin/tshark', '/usr/local/bin/tshark'].find((path) => existsSync(path));

const findings = (report: RunReport): string => sarif(report, { requirements: new Map(), anchor: undefined });

/** Accessories that let a secret out, and one that does not. */
const FAULTS = [
  [],
  ['--fault', 'setup-code-in-a-header'],
  ['--fault', 'm4-carries-k'],
  ['--fault', 'trace-in-a-text-item'],
];

/** What a reader finds in a capture: its blocks, each as long as it says at both ends. */
function blocksOf(capture: Uint8Array): { type: number; body: Uint8Array }[] {
  const view = new DataView(capture.buffer, capture.byteOffset, capture.length);
  const blocks: { type: number; body: Uint8Array }[] = [];
  for (let at = 0; at < capture.length;) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).to.equal(0);
    expect(view.getUint32(at + length - 4, true)).to.equal(length);
    blocks.push({ type: view.getUint32(at, true), body: capture.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

function ones(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** The packets of PAIRINGS-01 in `path`. */
async function captured(path: string, more: ConformanceOptions = {}): Promise<Bench | undefined> {
  beginCapture(path, 'hapspec');
  const { run, bench, begin, end } = prepareRun('embedded', {
    seed: 1,
    only: ['PAIRINGS-01'],
    pcapng: path,
    jobs: 1,
    ...more,
  });
  await begin();
  for (const entry of run.plan) await run.runEntry(entry);
  await end();
  endCapture(
    path,
    'hapspec',
    run.plan.map(({ entry }) => entry.id),
  );
  return bench;
}

describe('captures', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-pcapng-'))));
  after(endChildren);
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('are blocks with packets whose checksums are right and whose sequence numbers go on', () => {
    const at = { time: 5, connection: 1 };
    const events: TraceEvent[] = [
      { ...at, kind: 'open' },
      { ...at, kind: 'said', line: 'POST /x', sealed: false },
      { ...at, kind: 'sent', bytes: utf8('POST /x HTTP/1.1\r\n\r\n') },
      { ...at, kind: 'received', bytes: new Uint8Array(40_001).fill(7) },
      { ...at, kind: 'close' },
    ];
    const packets = blocksOf(
      new Capture(1_700_000_000_000, new SecretIndex([]), () => []).add('PS-M1-01', events),
    );
    const next = new Map<string, number>();
    for (const { type, body } of packets) {
      expect(type).to.equal(6);
      const length = new DataView(body.buffer, body.byteOffset).getUint32(12, true);
      const packet = body.slice(20, 20 + length);
      expect(ones(packet.subarray(0, 20))).to.equal(0xffff);
      const pseudo = new Uint8Array(12);
      pseudo.set(packet.subarray(12, 20));
      pseudo.set([0, 6, (length - 20) >> 8, (length - 20) & 0xff], 8);
      expect(ones(Uint8Array.of(...pseudo, ...packet.subarray(20)))).to.equal(0xffff);
      const view = new DataView(packet.buffer);
      const from = `${view.getUint32(12)}:${view.getUint16(20)}`;
      const flags = packet[33]!;
      expect(view.getUint32(24), from).to.equal(next.get(from) ?? 0);
      next.set(from, view.getUint32(24) + length - 40 + ((flags & 3) > 0 ? 1 : 0));
    }
    expect(Buffer.concat(packets.map(({ body }) => body)).includes('PS-M1-01')).to.equal(true);
  });

  it('begin with a section and two interfaces', () => {
    expect(blocksOf(captureHead('hapspec')).map(({ type }) => type)).to.deep.equal([0x0a0d0d0a, 1, 1]);
  });

  it('and no other report hold a secret, in whatever form, also where the accessory lets it out', async () => {
    const path = join(folder, 'run.pcapng');
    for (const leaking of FAULTS) {
      beginCapture(path, 'hapspec');
      const served = startHapspec(['accessory', '--port', '0', '--seed', '3', ...leaking]);
      await served.said('\n');
      const { run, bench, begin, end, redacted } = prepareRun(
        `127.0.0.1:${/:(\d+)/.exec(served.output())![1]!}`,
        {
          code: '031-45-154',
          state: join(folder, 'state'),
          seed: 3,
          only: ['PS-M*-01', 'PS-M3-04', 'PV-M1-01', 'PV-M3-01', 'PAIRINGS-01', 'SEC-03'],
          pcapng: path,
          evidence: join(folder, 'evidence'),
        },
      );
      await begin();
      for (const entry of run.plan) await run.runEntry(entry);
      await end();
      endCapture(
        path,
        'hapspec',
        run.plan.map(({ entry }) => entry.id),
      );
      expect(existsSync(`${path}.parts`)).to.equal(false);
      const report = redacted(run.report());
      const evidence = readdirSync(join(folder, 'evidence')).map((name) =>
        readFileSync(join(folder, 'evidence', name)),
      );
      const artefacts = [
        readFileSync(path),
        ...evidence,
        ...[junit, json, html, summaryMarkdown, findings].map((write) => Buffer.from(write(report))),
      ];
      const keys = [...(bench?.keyring.keys ?? []), ...(bench?.keyring.made.latest ?? [])];
      expect(keys.length).to.be.above(20);
      const secrets = [
        ...keys.flatMap((key) => [key, utf8(hex(key)), utf8(Buffer.from(key).toString('base64'))]),
        ...['031-45-154', '03145154'].flatMap((code) => [utf8(code), utf8(hex(utf8(code)))]),
      ].filter(({ length }) => length > 7);
      for (const [i, artefact] of artefacts.entries())
        for (const secret of secrets)
          expect(artefact.includes(Buffer.from(secret)), `artefact ${i}`).to.equal(false);
      expect(blocksOf(new Uint8Array(artefacts[0]!)).length).to.be.above(100);
    }
  });

  it('and evidence have the keys of each session when they are asked for, and no other secret', async () => {
    const path = join(folder, 'run.pcapng');
    const bench = await captured(path, { evidence: folder, evidenceKeys: true });
    const evidence = readFileSync(join(folder, 'PAIRINGS-01.jsonl'), 'utf8');
    const lines = evidence
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind?: string; bytes?: string; keys?: Record<string, string> });
    const secured = lines.findIndex(({ keys }) => keys !== undefined);
    const { toAccessory, toController } = lines[secured]!.keys!;
    // The key opens the first frame behind it.
    const frame = fromHex(lines.slice(secured).find(({ kind }) => kind === 'sent')!.bytes!);
    const opened = chacha20poly1305(fromHex(toAccessory!), new Uint8Array(12), frame.subarray(0, 2)).decrypt(
      frame.subarray(2),
    );
    expect(Buffer.from(opened).toString('latin1')).to.match(/^POST \/pairings/);
    const capture = readFileSync(path);
    expect(capture.includes(`controller → accessory: ${toAccessory}`)).to.equal(true);
    expect(capture.includes(`accessory → controller: ${toController}`)).to.equal(true);
    const shown = [toAccessory, toController];
    const others = [...(bench?.keyring.keys ?? []), ...(bench?.keyring.made.latest ?? [])]
      .map(hex)
      .filter((key) => key.length > 15 && !lines.some(({ keys }) => Object.values(keys ?? {}).includes(key)));
    expect(others.length).to.be.above(5);
    for (const key of others) {
      expect(shown).to.not.include(key);
      expect(evidence).to.not.include(key);
      expect(capture.includes(key)).to.equal(false);
    }
  });

  it('are read by tshark, what is in the frames as HTTP', async function () {
    if (tshark === undefined) {
      if (process.env['CI'] === 'true') throw new Error('tshark is missing: apt-get install tshark');
      return this.skip();
    }
    const path = join(folder, 'run.pcapng');
    await captured(path);
    const read = (filter: string, ...fields: readonly string[]): string[] =>
      execFileSync(
        tshark,
        ['-r', path, '-Y', filter, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
        {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      )
        .split('\n')
        .filter(Boolean);
    expect(read('http.request && frame.interface_name == "decrypted"', 'http.request.uri')).to.include(
      '/pairings',
    );
    expect(read('http.request && frame.interface_name == "wire"', 'http.request.uri')).to.not.include(
      '/pairings',
    );
    expect(
      read('http.response.code == 200 && frame.interface_name == "decrypted"', 'frame.comment').join('\n'),
    ).to.include('PAIRINGS-01');
    expect(
      read('tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0', 'frame.number'),
    ).to.deep.equal([]);
  });
});
