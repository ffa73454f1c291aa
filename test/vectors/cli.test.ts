import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { InputError } from '../../harness/protocol/index.js';
import {
  NoVectors,
  type VectorFile,
  fromRecording,
  parseVectors,
  serialise,
  verifyFile,
} from '../../harness/vectors/index.js';
import { endChildren, hapspecLine, hapspecLines } from '../cli/process.js';
import { vectors } from './folder.js';

describe('hapspec vectors', function () {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-vectors-'));
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true, force: true });
  });
  const write = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  /** The file with one field of one case changed. */
  const corrupted = (kind: string, tcId: number, field: string, value: string): string => {
    const file = vectors(kind);
    const testGroups = file.testGroups.map((group) => ({
      ...group,
      tests: group.tests.map((test) => (test.tcId === tcId ? { ...test, [field]: value } : test)),
    }));
    return write(`corrupted-${kind}.json`, serialise({ ...file, testGroups }));
  };

  it('verify names the case and the field of a corrupted copy, exit 1', async () => {
    const path = corrupted('hkdf', 3, 'key', 'ff'.repeat(32));
    const good = write('good.json', serialise(vectors('tlv8')));
    const { code, stdout, stderr } = await hapspecLine(['vectors', 'verify', good, path]);
    expect([code, stderr]).to.deep.equal([1, '']);
    expect(stdout).to.include(`${path} tcId 3 key: is "ffff`);
    expect(stdout).to.include('1 claim does not hold');
    const refused = await hapspecLine([
      'vectors',
      'export',
      '--format',
      'c',
      '--out',
      join(folder, 'no.h'),
      path,
    ]);
    expect(refused.code).to.equal(2);
  });

  it('verify and lint take files of users, exit 0', async () => {
    const path = write('mine.json', serialise(vectors('pairings')));
    const all = await hapspecLines(['verify', 'lint'].map((command) => ['vectors', command, path]));
    for (const { code, stdout } of all)
      expect([code, stdout.includes('47 cases in 1 file')]).to.deep.equal([0, true]);
  });

  it('a file that is none of vectors is a usage error, without a stack', async () => {
    const { code, stdout, stderr } = await hapspecLine([
      'vectors',
      'verify',
      write('other.json', '{"name":"x"}'),
    ]);
    expect([code, stdout]).to.deep.equal([2, '']);
    expect(stderr).to.include('testGroups');
    expect(stderr.trim().split('\n')).to.have.length(1);
    for (const content of ['{"testGroups": [', '[1]', 'null', '7', ''])
      expect(() => parseVectors(content), content).to.throw(NoVectors);
    const absent = await hapspecLine(['vectors', 'verify', join(folder, 'absent.json')]);
    expect([absent.code, absent.stderr.includes('cannot read')]).to.deep.equal([2, true]);
  });

  it('what a hostile file holds is named, and nothing throws', async () => {
    const odd = {
      ...vectors('tlv8'),
      testGroups: [null, 7, { type: '__proto__' }, { type: 'TlvCodec', tests: [null] }],
    };
    const { code, stderr } = await hapspecLine(['vectors', 'verify', write('odd.json', JSON.stringify(odd))]);
    expect([code, stderr]).to.deep.equal([1, '']);
    const endless = await hapspecLine(['vectors', 'verify', '/dev/zero']);
    expect([endless.code, endless.stderr.includes('16 MiB')]).to.deep.equal([2, true]);
  });

  it('usage errors of the others, exit 2', async () => {
    const lines = [
      ['vectors', 'export', '--format', 'rust'],
      ['vectors', 'generate', '--seed', ''],
      ['vectors', 'from-evidence', folder],
    ];
    const all = await hapspecLines(lines);
    for (const [i, { code }] of all.entries()) expect(code, lines[i]!.join(' ')).to.equal(2);
  });

  it('evidence of a run becomes vectors that hold', async () => {
    const evidence = join(folder, 'evidence');
    const only = ['--only', 'PS-M5-01', '--only', 'PAIRINGS-01'];
    const run = await hapspecLine(['run', 'embedded', ...only, '--seed', '1', '--evidence', evidence]);
    expect(run.code, run.stdout).to.equal(0);
    const read = async (name: string): Promise<VectorFile> => {
      const out = join(folder, `${name}.json`);
      const made = await hapspecLine([
        'vectors',
        'from-evidence',
        join(evidence, `${name}.jsonl`),
        '--out',
        out,
      ]);
      expect([made.code, made.stderr]).to.deep.equal([0, '']);
      const file = parseVectors(readFileSync(out, 'utf8'));
      expect(verifyFile(file)).to.deep.equal([]);
      return file;
    };
    const setup = (await read('PS-M5-01')).testGroups[0]!.tests;
    expect(
      setup.map((test) => [...(test['body'] as string).matchAll(/0601(0[1-6])/g)][0]?.[1]),
    ).to.include.members(['01', '02', '03', '04', '05', '06']);
    // The sub-TLVs of M5 and M6: Identifier, PublicKey, Signature.
    const inside = setup
      .filter((test) => test['subItems'] !== undefined)
      .map((test) => test['subItems'] as readonly { type: number }[]);
    expect(inside.map((items) => items.map(({ type }) => type))).to.deep.include.members([[1, 3, 10]]);
    expect(inside.length).to.be.at.least(2);
    expect((await read('PAIRINGS-01')).numberOfTests).to.equal(6);
  });

  it('evidence of a receiver does as well, whose media types say nothing', async () => {
    const evidence = join(folder, 'evidence');
    const only = ['AIRPLAY-05', 'PAIRINGS-01'].flatMap((id) => ['--only', id]);
    const run = ['run', 'embedded:airplay-media-types', ...only, '--seed', '1', '--evidence', evidence];
    expect((await hapspecLine(run)).code).to.equal(0);
    const statesIn = async (name: string): Promise<(string | undefined)[]> => {
      const out = join(folder, `${name}.json`);
      const from = ['vectors', 'from-evidence', join(evidence, `${name}.jsonl`), '--out', out];
      const made = await hapspecLine(from);
      expect([made.code, made.stderr], name).to.deep.equal([0, '']);
      const file = parseVectors(readFileSync(out, 'utf8'));
      expect(verifyFile(file)).to.deep.equal([]);
      return file.testGroups[0]!.tests.map((test) => /0601(0[1-6])/.exec(test['body'] as string)?.[1]);
    };
    // M1 to M4, and nothing of what is said in frames behind it: that is no pairing message.
    const transient = await statesIn('AIRPLAY-05');
    expect(transient.slice(-4)).to.deep.equal(['01', '02', '03', '04']);
    expect(transient).to.not.include(undefined);
    // Pair Verify and a List in frames.
    expect((await statesIn('PAIRINGS-01')).slice(-6)).to.deep.equal(['01', '02', '03', '04', '01', '02']);
  });

  it('a replay file becomes vectors, with keys where it has them; an unknown shape says what is read', async () => {
    const [vector] = vectors('pair-verify').testGroups[0]!.tests;
    const { M1, M2, M3, M4 } = vector!['messages'] as Readonly<Record<string, string>>;
    const head = Buffer.from(
      `POST /pair-verify HTTP/1.1\r\nContent-Length: ${M3!.length / 2}\r\n\r\n`,
    ).toString('hex');
    const exchanges = [
      { request: M1, response: M2 },
      { request: head + M3!, response: M4 },
    ];
    const path = write(
      'replay.json',
      JSON.stringify({ exchanges, keys: { 'PV-Msg03': vector!['encryptKey'] } }),
    );
    const out = join(folder, 'replayed.json');
    expect((await hapspecLine(['vectors', 'from-evidence', path, '--out', out])).code).to.equal(0);
    expect((await hapspecLine(['vectors', 'verify', out])).code).to.equal(0);
    const { tests } = parseVectors(readFileSync(out, 'utf8')).testGroups[0]!;
    expect(tests.map((test) => test['body'])).to.deep.equal([M1, M2, M3, M4]);
    expect(tests[2]!['sub']).to.equal((vector!['m3'] as Readonly<Record<string, string>>)['sub']);

    const odd = [
      '{"steps":[]}',
      'hello',
      '',
      '{"exchanges":[{"request":"zz"}]}',
      '{"exchanges":[]}',
      '{"exchanges":[7]}',
    ];
    for (const content of odd) expect(() => fromRecording(content), content).to.throw(InputError);
    const wrong = await hapspecLine(['vectors', 'from-evidence', write('wrong.json', odd[0]!)]);
    expect([wrong.code, wrong.stdout]).to.deep.equal([2, '']);
    expect(wrong.stderr).to.include('neither evidence').and.include('"exchanges"');
  });
});
