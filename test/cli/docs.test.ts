import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { pages } from '../../harness/cli/pages.js';
import { log } from '../clone/fixture.js';
import { endChildren, hapspec, hapspecLine, startHapspec } from './process.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Words of a line as a shell reads it, without its comment: quotes taken off, what assigns a variable in front apart. */
function wordsOf(line: string): { words: readonly string[]; env: Readonly<Record<string, string>> } {
  const words = [...line.matchAll(/#.*$|'([^']*)'|[^\s'#]\S*/gm)]
    .map(([word, quoted]) => quoted ?? word)
    .filter((word) => !word.startsWith('# ') && word !== '#');
  const env: Record<string, string> = {};
  while (/^[A-Z_]+=/.test(words[0] ?? '')) {
    const [name = '', value = ''] = words.shift()!.split('=');
    env[name] = value;
  }
  return { words, env };
}

/** The command lines of a page, in its order. */
function commandsOf(path: string): string[] {
  const text = readFileSync(join(root, path), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, fence = '']) =>
    fence
      .trim()
      .split('\n')
      .flatMap((line) => line.replace(/\s#.*/, '').split(' && '))
      .filter((line) => line.trim() !== ''),
  );
}

/** A whole run is planned and not made, so that every command is read as a user would give it and takes no minutes. */
function inShort(words: readonly string[]): readonly string[] {
  const [command = ''] = words;
  // Parts are shown with little in them, and are merged behind it.
  if (words.includes('--shard')) return words;
  // A doctor asks every network there is.
  if (command === 'selftest' || command === 'doctor') return [...words, '--help'];
  // There is nobody to be asked.
  if (command === 'init') return ['init', '--yes', '--target', 'embedded', '--ci', 'none', '--force'];
  if (command === 'discover')
    return [...words.filter((word) => word !== '--timeout' && word !== '5000'), '--timeout', '300'];
  const isWhole = command === 'run' && !/ --(only|dry-run|replay)\b/.test(` ${words.join(' ')}`);
  // A chapter over TCP takes as long as the whole in memory.
  const isChapter = words.some(
    (word, i) => words[i - 1] === '--only' && !/\d/.test(word) && !/^MFI/.test(word),
  );
  const hunts = words.includes('--runs') || words.includes('--time');
  return isWhole || isChapter || hunts ? [...words, '--dry-run'] : words;
}

describe('the documentation', function () {
  // Against a hang only.
  this.timeout(600_000);
  after(endChildren);

  it('has the pages of the catalogue as it is (npx hapspec list --markdown docs/checks)', () => {
    const made = pages();
    const folder = join(root, 'docs/checks');
    expect(readdirSync(folder)).to.have.members([...made.keys()]);
    for (const [name, text] of made) expect(readFileSync(join(folder, name), 'utf8'), name).to.equal(text);
  });

  it('shows reports as they are: reports/example, made by the commands in reports/README.md (HAPSPEC_UPDATE=1 writes them)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hapspec-docs-'));
    const kept = join(root, 'reports/example');
    try {
      const [, line = ''] = /`npx hapspec (run embedded:[^`]+)`/.exec(
        readFileSync(join(root, 'reports/README.md'), 'utf8'),
      )!;
      const { words } = wordsOf(line);
      for (const [name, target] of [
        ['fault', words[1]!],
        ['healthy', 'embedded'],
      ] as const) {
        const outputs = Object.entries({
          junit: 'xml',
          json: 'json',
          html: 'html',
          summary: 'md',
          pcapng: 'pcapng',
        });
        await hapspec([
          'run',
          target,
          ...words.slice(2),
          ...outputs.flatMap(([option, ending]) => [`--${option}`, join(folder, `${name}.${ending}`)]),
        ]);
      }
      const reports = ['healthy', 'fault'].map((name) => join(folder, `${name}.json`));
      await hapspec(['diff', ...reports, '--markdown', join(folder, 'diff.md')]);
      // A real stack, from what was stored of it.
      const [before, after] = ['1.1.0', '2.0.2'].map((version) => join(kept, `hap-nodejs-${version}.json`));
      const forms = Object.entries({ html: 'html', junit: 'xml', summary: 'md' });
      await hapspec([
        'report',
        after!,
        ...forms.flatMap(([option, ending]) => [`--${option}`, join(folder, `hap-nodejs-2.0.2.${ending}`)]),
      ]);
      await hapspec(['diff', before!, after!, '--markdown', join(folder, 'hap-nodejs-diff.md')]);
      if (process.env['HAPSPEC_UPDATE'] === '1') {
        mkdirSync(kept, { recursive: true });
        for (const name of readdirSync(folder)) {
          const content = readFileSync(join(folder, name));
          // Where counterexamples went on the machine that made them is nobody's business.
          const clean = content
            .toString()
            .replace(/(--replay (?:'|&#39;|&apos;))[^'&]*replays\//g, '$1.hapspec/replays/');
          writeFileSync(join(kept, name), name.endsWith('.pcapng') ? content : clean);
        }
      }
      // Times, and the version, are those of another day; counterexamples go where keys are kept; how sure a diagnosis is
      // changes with every fault there is.
      const lasting = (text: string): string =>
        text
          .replace(/(time|timestamp|startedAt|durationMs|version)"?[=:] ?("[^"]*"|[\d.]+)/g, '')
          .replace(/"confidence": [\d.]+|(confidence" value=)"[\d.]+"|\d+ % sure/g, '')
          .replace(/--replay (?:'|&#39;|&apos;)[^'&]*replays\//g, '--replay ')
          .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '')
          .replace(/ · \d+ ms · | · [\d.]+ s · /g, '')
          .replace(/hapspec.?\d+\.\d+\.\d+/g, 'hapspec');
      for (const name of readdirSync(folder)) {
        const [now, then] = [folder, kept].map((place) => readFileSync(join(place, name)));
        // Of a capture the packets are compared by their number: each has its time.
        if (name.endsWith('.pcapng')) expect(now!.length, name).to.equal(then!.length);
        else expect(lasting(now!.toString()), name).to.equal(lasting(then!.toString()));
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('names files that are there', () => {
    for (const path of documents) {
      const text = readFileSync(join(root, path), 'utf8');
      for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g))
        if (!/^[a-z]+:/.test(link))
          expect(existsSync(join(root, path, '..', link)), `${path}: ${link}`).to.equal(true);
      for (const [, named = ''] of text.matchAll(
        /`((?:harness|suites|bench|test|vectors)\/[\w./-]*\w\.(?:ts|json|md))`/g,
      ))
        expect(existsSync(join(root, named)), `${path}: ${named}`).to.equal(true);
    }
  });

  for (const path of documents)
    it(`${path} has commands that work`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'hapspec-docs-'));
      mkdirSync(join(folder, 'vectors'));
      writeFileSync(join(folder, 'serial.log'), log);
      const env = { HAPSPEC_STATE: join(folder, 'state') };
      const places: (readonly [RegExp, string])[] = [];
      const serve = async (args: readonly string[]): Promise<string> => {
        const words = ['accessory', '--seed', '1', ...args, '--port', '0'];
        const served = startHapspec(words, { HAPSPEC_STATE: join(folder, 'own') });
        await served.said('\n');
        return /:(\d+)/.exec(served.output())![1]!;
      };
      try {
        for (const line of commandsOf(path)) {
          const { words, env: given } = wordsOf(line);
          const [program, command, ...args] = words;
          if (program === 'npm') {
            const script = command === 'run' ? args[0] : command;
            expect(script === 'ci' || script === 'pack' || script! in scripts, line).to.equal(true);
            continue;
          }
          expect(`${program} ${command}`, `${path}: ${line}`).to.equal('npx hapspec');
          if (args[0] === 'accessory' && !args.includes('--list-faults')) {
            const others = args.slice(1).map((word) => (word.startsWith('.') ? join(folder, word) : word));
            if (others.includes('--advertise')) continue;
            const root = others.indexOf('--mfi-root');
            if (root >= 0) others[root + 1] = join(folder, others[root + 1]!);
            await serve(others);
            continue;
          }
          // Whatever stands for a device is the reference accessory, or a receiver.
          if (
            places.length === 0 &&
            /192\.168|fe80|127\.0\.0\.1:51826/.test(readFileSync(join(root, path), 'utf8'))
          ) {
            const [accessory, receiver] = await Promise.all([
              serve(['--code', '031-45-154', '--mfi']),
              serve(['--airplay']),
            ]);
            places.push(
              [/192\.168\.1\.40:51826|\[fe80::1%eth0\]:51826|127\.0\.0\.1:51826/, `127.0.0.1:${accessory}`],
              [/192\.168\.1\.41:7000/, `127.0.0.1:${receiver}`],
            );
          }
          const told = inShort(args).map((word) =>
            places.reduce((text, [place, port]) => text.replace(place, port), word),
          );
          const { code, stderr } = await hapspecLine(told, { ...env, ...given }, folder);
          // Without a port mDNS is asked, which a machine without a multicast route does not speak.
          const expected =
            args[0] === 'discover' || /192\.168\.1\.40( |$)/.test(line) ? [0, 2, 3] : [0, 1, 5];
          expect(expected, `${path}: ${line}\n${stderr}`).to.include(code);
          expect(stderr, `${path}: ${line}`).to.not.match(/unknown (option|command)|too many arguments/);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
});
