import './last-resort.js';
import { Command, CommanderError } from 'commander';
import { InputError } from '../protocol/index.js';
import { version } from '../version.js';
import type { AccessoryFlags } from './accessory.js';
import type { CloneFlags } from './clone.js';
import { type ConfigValues, forReplay, loadConfig, mergeConfig } from './config.js';
import type { DiagnoseFlags } from './diagnose.js';
import type { DiscoverFlags } from './discover.js';
import type { DoctorFlags } from './doctor.js';
import { isGone } from './guard.js';
import type { InitFlags } from './init.js';
import type { ExplainFlags, ListFlags } from './list.js';
import type { PairingFlags } from './pairings.js';
import type { Outputs } from './reports.js';
import type { RunFlags } from './run.js';
import type { SelftestFlags } from './selftest.js';
import type { ExportFlags, GenerateFlags } from './vectors.js';

// A command loads what it needs when it is called: `unpair` has no use for the suite.
const accessory = () => import('./accessory.js');
const cloneOf = () => import('./clone.js');
const discover = () => import('./discover.js');
const lists = () => import('./list.js');
const pairings = () => import('./pairings.js');
const reports = () => import('./reports.js');
const vectorsOf = () => import('./vectors.js');

const collect = (value: string, earlier: readonly string[] = []): string[] => [...earlier, value];

/** Commands return their exit code here; the process gets it when all output is out. */
function program(exit: (code: number) => void): Command {
  const hapspec = new Command('hapspec')
    .description('Conformance test harness for HomeKit (HAP) pairing')
    .version(version, '-V, --version', 'output the version number; with --json what belongs to it')
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'hapspec: ')) })
    .exitOverride();

  hapspec
    .command('run')
    .description('run the suite against an accessory')
    .argument(
      '[TARGET]',
      'HOST:PORT, [IPv6]:PORT, hap://HOST:PORT, airplay://HOST:PORT, HOST (port by mDNS), embedded[:FAULT], or a name of "targets" in the configuration (default: all of these, else embedded)',
    )
    .option(
      '--code <XXX-XX-XXX>',
      'setup code: XXX-XX-XXX, 8 digits or an X-HM:// payload; PIN or password of a receiver (env HAPSPEC_CODE)',
    )
    .option(
      '--code-command <CMD>',
      'shell command that writes the setup code, run when M2 has come: for displays, and codes drawn anew each time',
    )
    .option('--start-line <LINE>', 'of AirPlay requests: rtsp (default) or http')
    .option(
      '--declares <FEATURE>',
      'what the accessory can do and does not announce: transient or mfi; or that it is a router (repeatable)',
      collect,
    )
    .option('--mfi-root <FILE>', 'trust anchors for the certificate of an MFi accessory, PEM or DER')
    .option('--clone-of <SNAPSHOT>', 'it is a clone of that device: ask the chapter of clones alone')
    .option('--old <HOST:PORT>', 'the device of --clone-of, where it is up beside its clone')
    .option('--junit <FILE>', 'write a JUnit report, kept current while the run goes on')
    .option('--json <FILE>', 'write a JSON report')
    .option('--html <FILE>', 'write the report as one page that needs nothing else, when the run is over')
    .option('--summary <FILE>', 'write it as Markdown, for the page of a CI job')
    .option('--sarif <FILE>', 'write it as SARIF, for code scanning')
    .option('--only <PATTERN>', 'run only checks with such an id, * allowed (repeatable)', collect)
    .option('--skip <PATTERN>', 'leave out checks with such an id, * allowed (repeatable)', collect)
    .option('--level <LEVEL>', 'only must, should or varies (repeatable)', collect)
    .option('--timeout <MS>', 'how long a required answer may take (default 10000)')
    .option('--seed <N>', 'what everything random derives from; printed when not given')
    .option('--strict', 'warnings are red')
    .option('--verbose', 'every failure in full, and not one of each cause')
    .option('--state <DIR>', 'keys, ledger and lock of each accessory (default .hapspec, env HAPSPEC_STATE)')
    .option('--launch <CMD>', 'shell command that starts the accessory and stays')
    .option('--reset <CMD>', 'shell command that factory-resets the accessory')
    .option('--restart <CMD>', 'shell command that power-cycles the accessory')
    .option('--attempts <N>', 'failed attempts the run may spend between resets (default 30)')
    .option('--destructive', 'allow checks that can lock the accessory; they need --reset too')
    .option(
      '--jobs <N>',
      'threads of a run against the embedded accessory; of several targets: how many at once (default: the cores)',
    )
    .option(
      '--shard <I/N>',
      'the I-th of N runs that share the checks, by price; "hapspec merge" puts them together',
    )
    .option('--runs <N>', 'runs of each property (default 10)')
    .option('--time <D>', 'how long the properties go on, e.g. 90s, 10m, 2h; they share it')
    .option('--replay <FILE>', 'run the counterexample in this file alone, step by step')
    .option(
      '--idle <D>',
      'how long sessions beside the run are silent at the least, e.g. 5m; as long as the run takes when left out',
    )
    .option('--wait <D>', 'until the accessory answers, e.g. 30s: for one that is being started')
    .option('--pace <MS>', 'pause between connections')
    .option('--expectations <FILE>', 'known deviations; stale, unknown and expired entries are red')
    .option('--write-expectations', 'write what deviates in this run to that file')
    .option('--config <FILE>', 'options from this file (else hapspec.config.js or .json, found upward)')
    .option('--evidence <DIR>', 'write the wire record of each check, decoded and decrypted')
    .option(
      '--evidence-keys',
      'add the keys of each session to --evidence and --pcapng: these files are secrets then',
    )
    .option('--pcapng <FILE>', 'write what went over the wire, and the HTTP in its frames, for Wireshark')
    .option(
      '--watch',
      'run again what was red, or everything, whenever the file that --launch starts changes, until Ctrl-C',
    )
    .option('--watch-path <FILE>', 'a file that --watch looks at, such as an image (repeatable)', collect)
    .option('--dry-run', 'show the plan and its price, leave the accessory alone')
    .action(
      async (argument: string | undefined, { config: path, ...flags }: RunFlags & { config?: string }) => {
        const config = await loadConfig({ cwd: process.cwd(), ...(path !== undefined && { path }) });
        const named = config?.targets?.find(({ name }) => name === argument);
        if (config?.targets !== undefined && argument === undefined)
          return exit(
            await (await import('./lab.js')).labCommand(config.targets, mergeConfig(config.values, flags)),
          );
        const lasting = flags.replay === undefined ? (values: ConfigValues) => values : forReplay;
        const { target = 'embedded', ...merged } = mergeConfig(
          mergeConfig(lasting(config?.values ?? {}), lasting(named?.values ?? {})),
          { ...flags, config: config?.path, target: named === undefined ? argument : undefined },
        );
        exit(
          merged.watch
            ? await (await import('./watch.js')).watchCommand(target, merged)
            : await (await import('./run.js')).runCommand(target, merged),
        );
      },
    );

  hapspec
    .command('init')
    .description('write a commented configuration and a file for CI here: finds accessories, and asks')
    .option('--target <TARGET>', 'the accessory, and do not look for any')
    .option(
      '--code <XXX-XX-XXX>',
      'write this setup code into the configuration too, which is committed; else it is in HAPSPEC_CODE alone',
    )
    .option('--ci <SYSTEM>', 'github, gitlab, azure, jenkins or none')
    .option(
      '--yes',
      'ask nothing: the only accessory that is announced, and the CI system this folder is used with',
    )
    .option('--force', 'write over what is there')
    .action(async (flags: InitFlags) => exit(await (await import('./init.js')).initCommand(flags)));

  hapspec
    .command('doctor')
    .description('look at what a run needs of this machine, and how far it gets on the way to an accessory')
    .argument('[TARGET]', 'as of run; it is asked for one M2, which costs it no attempt')
    .option('--state <DIR>', 'where keys are kept (default .hapspec, env HAPSPEC_STATE)')
    .option('--timeout <MS>', 'how long an answer may take (default 10000)')
    .option('--json', 'as JSON')
    .action(async (target: string | undefined, flags: DoctorFlags) =>
      exit(await (await import('./doctor.js')).doctorCommand(target, flags)),
    );

  hapspec
    .command('list')
    .description('show all checks')
    .option('--only <PATTERN>', 'only checks with such an id, * allowed (repeatable)', collect)
    .option('--skip <PATTERN>', 'leave out checks with such an id (repeatable)', collect)
    .option('--coverage', 'every requirement of the catalogue: its checks, or why it has none')
    .option('--markdown <DIR>', 'write the whole catalogue there, a page for each chapter')
    .action(async (flags: ListFlags) => console.log((await lists()).listCommand(flags)));

  hapspec
    .command('explain')
    .description(
      'show a requirement with its checks and the faults that break it; or a mistake, what is seen of it, and how to mend it',
    )
    .argument('<ID>', 'requirement, check or fault')
    .option('--values', 'of a fault: the values of a session to unit-test it with, its secrets too')
    .action(async (id: string, flags: ExplainFlags) =>
      console.log((await lists()).explainCommand(id, flags)),
    );

  hapspec
    .command('diagnose')
    .description('say which mistakes explain the failures of a run, or ask an accessory until that is clear')
    .argument('<REPORT or TARGET>', 'what "hapspec run --json FILE" has written, or a TARGET as of run')
    .option('--json', 'as JSON')
    .option('--checks <N>', 'of a TARGET: checks that are asked at the most (default 60)')
    .option('--code <XXX-XX-XXX>', 'setup code (env HAPSPEC_CODE)')
    .option('--seed <N>', 'what everything random derives from')
    .option('--attempts <N>', 'failed attempts that may be spent between resets (default 30)')
    .option('--timeout <MS>', 'how long a required answer may take (default 10000)')
    .option('--state <DIR>', 'keys, ledger and lock of each accessory (default .hapspec, env HAPSPEC_STATE)')
    .action(async (what: string, flags: DiagnoseFlags) =>
      exit(await (await import('./diagnose.js')).diagnoseCommand(what, flags)),
    );

  hapspec
    .command('schema')
    .description(
      'the JSON Schema of a configuration file, for editors, or of a JSON report of run or selftest',
    )
    .argument('<WHAT>', 'config, report or selftest')
    .action(async (what: string) =>
      console.log(
        (await import('./schema.js')).schemaCommand(
          what,
          hapspec.commands.find((command) => command.name() === 'run')!,
        ),
      ),
    );

  hapspec
    .command('report')
    .description('show a stored report, or write it in other forms')
    .argument('<REPORT>', 'what "hapspec run --json FILE" has written')
    .option('--html <FILE>', 'as one page that needs nothing else')
    .option('--junit <FILE>', 'as JUnit')
    .option('--json <FILE>', 'as JSON, with the diagnosis of today')
    .option('--summary <FILE>', 'as Markdown, for the page of a CI job')
    .option('--sarif <FILE>', 'as SARIF, for code scanning')
    .action(async (path: string, flags: Outputs) => exit(await (await reports()).reportCommand(path, flags)));

  hapspec
    .command('diff')
    .description('what changed from one report to another; exit 1 when anything is newly red')
    .argument('<BEFORE>', 'a report of "hapspec run --json FILE"')
    .argument('<AFTER>', 'a later one')
    .option('--markdown <FILE>', 'write it as Markdown too, for a pull request')
    .action(async (before: string, after: string, flags: { markdown?: string }) =>
      exit((await reports()).diffCommand(before, after, flags)),
    );

  hapspec
    .command('merge')
    .description('the reports of the shards of one run, or of one self-test, as one')
    .argument('<REPORT...>', 'reports of "hapspec run --shard I/N --json FILE", or of "hapspec selftest" so')
    .option('--junit <FILE>', 'write it as JUnit')
    .option('--json <FILE>', 'write it as JSON')
    .option('--html <FILE>', 'write it as one page')
    .option('--summary <FILE>', 'write it as Markdown, for the page of a CI job')
    .option('--sarif <FILE>', 'write it as SARIF, for code scanning')
    .action(async (paths: string[], flags: Outputs) =>
      exit(await (await reports()).mergeCommand(paths, flags)),
    );

  hapspec
    .command('matrix')
    .description('accessories, or versions of one, by requirements, as one page')
    .argument('<REPORT...>', 'a report for each column')
    .requiredOption('--html <FILE>', 'where the page goes')
    .option('--name <NAME>', 'name of a column, in the order of the reports (repeatable)', collect)
    .action(async (paths: string[], { html, name }: { html: string; name?: string[] }) =>
      exit(await (await reports()).matrixCommand(paths, { html, ...(name && { names: name }) })),
    );

  hapspec
    .command('accessory')
    .description('serve the reference accessory, healthy or with one fault')
    .option('--port <N>', 'port to listen on, 0 lets the system choose', '51826')
    .option('--host <ADDRESS>', 'address to listen on', '127.0.0.1')
    .option('--code <XXX-XX-XXX>', 'setup code (default 031-45-154)')
    .option('--airplay', 'an AirPlay receiver, with the default code 3939')
    .option('--pin <NNNN>', 'a receiver that shows this PIN')
    .option('--password <TEXT>', 'a receiver with this password')
    .option('--mfi', 'with an authentication coprocessor whose certificate is self-made')
    .option('--mfi-root <FILE>', 'write the certificate of its authority there')
    .option('--state <DIR>', 'keep identity and pairings in this folder')
    .option('--import <SNAPSHOT>', 'take over the pairing data of another device')
    .option('--fault <NAME>', 'with this fault, or as this benign variant')
    .option('--display <FILE>', 'draw a setup code for each Pair Setup, and show it in this file')
    .option('--seed <N>', 'draw everything random from this')
    .option('--latency <NAME>', 'answer as slowly as real hardware: esp32')
    .option('--advertise', 'announce it by mDNS')
    .option('--name <NAME>', 'name it is announced under', 'hapspec')
    .option('--list-faults', 'show all faults')
    .action(async (flags: AccessoryFlags) => exit(await (await accessory()).accessoryCommand(flags)));

  hapspec
    .command('discover')
    .description('show the accessories announced on the network')
    .option('--timeout <MS>', 'how long to listen (default 3000)')
    .option('--kind <KIND>', 'only hap or airplay')
    .option('--json', 'as JSON')
    .action(async (flags: DiscoverFlags) => exit(await (await discover()).discoverCommand(flags)));

  hapspec
    .command('selftest')
    .description('grade the suite: every check against the faults of the reference accessory')
    .option('--full', 'the whole matrix: every check against every fault and every benign variant')
    .option('--seed <N>', 'what everything random derives from', '1')
    .option('--properties', 'which property finds each fault, and after how many runs')
    .option('--cascade', 'what is red in a whole run against each fault, beside what it breaks')
    .option('--only <FAULT>', 'of these faults alone; `*` stands for any characters; repeatable', collect)
    .option(
      '--signatures <FILE>',
      'make what a diagnosis compares a run with: rows that are missing or of another suite; all with --full',
    )
    .option('--shard <I/N>', 'the I-th of N parts of the faults; "hapspec merge" puts them together')
    .option('--json <FILE>', 'write what was found, for "hapspec merge"')
    .option(
      '--update <FILE>',
      'put the summary between its two marks in this file, or write the table of --properties or --cascade there',
    )
    .action(async (flags: SelftestFlags) =>
      exit(await (await import('./selftest.js')).selftestCommand(flags)),
    );

  const vectors = hapspec
    .command('vectors')
    .description('test vectors: generate, verify, export to firmware');
  vectors
    .command('generate')
    .description('write every file of vectors and its schema; the same seed writes the same bytes')
    .option('--seed <N>', 'what everything random derives from', '1')
    .option('--out <DIR>', 'folder to write into', 'vectors')
    .action(async (flags: GenerateFlags) => exit((await vectorsOf()).vectorsGenerateCommand(flags)));
  const files = 'files of vectors (default: those that came with hapspec)';
  vectors
    .command('verify')
    .description('recompute every claim with a second implementation')
    .argument('[FILE...]', files)
    .action(async (paths: string[]) => exit((await vectorsOf()).vectorsVerifyCommand(paths)));
  vectors
    .command('lint')
    .description('check heads, ids, counts, order and flags only')
    .argument('[FILE...]', files)
    .action(async (paths: string[]) => exit((await vectorsOf()).vectorsLintCommand(paths)));
  vectors
    .command('export')
    .description('write vectors for firmware: a C99 header')
    .argument('[FILE...]', files)
    .option('--format <FORMAT>', 'c', 'c')
    .option('--out <FILE>', 'write there (default: standard output)')
    .action(async (paths: string[], flags: ExportFlags) =>
      exit((await vectorsOf()).vectorsExportCommand(paths, flags)),
    );
  vectors
    .command('from-evidence')
    .description('make vectors of a recorded exchange: a file of --evidence, or a replay file')
    .argument('<FILE>', 'JSON lines of --evidence, or JSON with "exchanges"')
    .option('--out <FILE>', 'write there (default: standard output)')
    .action(async (path: string, flags: { out?: string }) =>
      exit((await vectorsOf()).vectorsFromEvidenceCommand(path, flags)),
    );

  const clone = hapspec
    .command('clone')
    .description('pairing data of one device for another: export, import, convert, show');
  const transfer = (name: string, about: string, input: string): Command =>
    clone
      .command(name)
      .description(about)
      .argument('<INPUT>', `${input}, or - for standard input`)
      .option('--out <PATH>', 'file or folder to write, by format')
      .option('--replace', 'overwrite the file that is there');
  const from = ['--from <FORMAT>', 'format of the input; a wrong one lists all'] as const;
  const to = ['--to <FORMAT>', 'format of the output; a wrong one lists all'] as const;
  const deviceId = ['--device-id <ID>', 'device id, where the format does not hold it'] as const;
  const paired = [
    '--paired <TARGET>',
    'put in the secret key by which "hapspec pair" is a controller of TARGET',
  ] as const;
  const state = ['--state <DIR>', 'where that key is kept (default .hapspec, env HAPSPEC_STATE)'] as const;
  transfer('export', 'write the pairing data of a stack as a snapshot', 'file or folder of the stack')
    .option(...from)
    .option(...deviceId)
    .option(...paired)
    .option(...state)
    .action(async (path: string, flags: CloneFlags) =>
      exit((await cloneOf()).cloneExportCommand(path, flags)),
    );
  transfer('import', 'write a snapshot as the pairing data of a stack', 'snapshot')
    .option(...to)
    .action(async (path: string, flags: CloneFlags) =>
      exit((await cloneOf()).cloneImportCommand(path, flags)),
    );
  transfer('convert', 'write the pairing data of one stack as that of another', 'file or folder of the stack')
    .option(...from)
    .option(...to)
    .option(...deviceId)
    .action(async (path: string, flags: CloneFlags) =>
      exit((await cloneOf()).cloneConvertCommand(path, flags)),
    );
  clone
    .command('show')
    .description('show what a snapshot, or the pairing data of a stack, holds, without its secrets')
    .argument('<INPUT>', 'file or folder, or - for standard input')
    .option(...from)
    .option(...deviceId)
    .action(async (path: string, flags: CloneFlags) => exit((await cloneOf()).cloneShowCommand(path, flags)));

  clone
    .command('check')
    .description(
      'prove on the wire that a device is a clone: the short form of run TARGET --clone-of SNAPSHOT',
    )
    .argument('<TARGET>', 'the new device: HOST:PORT, or embedded[:FAULT]')
    .argument('<SNAPSHOT>', 'what "hapspec clone export" wrote of the old one')
    .option('--old <HOST:PORT>', 'the old device, where it is up as well')
    .option('--restart <CMD>', 'shell command that power-cycles the new device')
    .option('--state <DIR>', 'keys, ledger and lock of each accessory (default .hapspec, env HAPSPEC_STATE)')
    .action(async (target: string, cloned: string, flags: RunFlags) =>
      exit(await (await import('./run.js')).runCommand(target, { ...flags, cloneOf: cloned })),
    );

  const keyed = (name: string, about: string): Command =>
    hapspec
      .command(name)
      .description(about)
      .argument('<TARGET>', 'HOST:PORT, [IPv6]:PORT, hap://HOST:PORT, or HOST (port by mDNS)')
      .option('--state <DIR>', 'keys of each accessory (default .hapspec, env HAPSPEC_STATE)')
      .option('--timeout <MS>', 'how long a required answer may take (default 10000)');
  keyed('pair', 'pair with an accessory and keep the pairing')
    .option('--code <XXX-XX-XXX>', 'setup code (env HAPSPEC_CODE); on a terminal it is asked for')
    .option('--code-command <CMD>', 'shell command that writes the setup code, run when M2 has come')
    .action(async (target: string, flags: PairingFlags) =>
      exit(await (await pairings()).pairCommand(target, flags)),
    );
  keyed('unpair', 'remove every pairing this harness has left in an accessory').action(
    async (target: string, flags: PairingFlags) =>
      exit(await (await pairings()).unpairCommand(target, flags)),
  );
  keyed('pairings', 'list the pairings of an accessory paired by "hapspec pair"')
    .option('--json', 'as JSON')
    .action(async (target: string, flags: PairingFlags) =>
      exit(await (await pairings()).pairingsCommand(target, flags)),
    );

  hapspec
    .command('completion')
    .description('print the script that completes commands, options and their values in a shell')
    .argument(
      '[SHELL]',
      'bash, zsh or fish: eval "$(hapspec completion bash)", or: hapspec completion fish | source',
    )
    .option('--list <WHAT>', 'print the words there are: checks, faults, targets or explainable')
    .action(async (shell: string | undefined, flags: { list?: string }) => {
      const { completionScript, lists: known } = await import('./completion.js');
      if (flags.list === undefined) return console.log(completionScript(shell ?? '', hapspec));
      const list = known.find((one) => one === flags.list);
      if (list === undefined)
        throw new InputError(`completion --list: expected ${known.join(', ')}, got "${flags.list}"`);
      console.log((await lists()).words(list).join('\n'));
    });

  return hapspec;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Runs the command line and sets the process's exit code: 2 for the user's mistakes, 4 for the harness's own. */
export async function main(argv: readonly string[]): Promise<void> {
  let code = 0;
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Whoever read it has what he wanted; what else there is to do goes on.
      if (!isGone(error)) throw error;
    });
  try {
    const asked = argv.slice(2);
    if (
      asked.length === 2 &&
      asked.includes('--json') &&
      (asked.includes('--version') || asked.includes('-V'))
    )
      console.log(JSON.stringify((await lists()).about(), undefined, 2));
    else await program((result) => (code = result)).parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) code = error.exitCode === 0 ? 0 : 2;
    else if (error instanceof InputError) {
      console.error(`hapspec: ${error.message}`);
      code = 2;
    } else {
      console.error(`hapspec: the harness failed: ${describe(error)}`);
      code = 4;
    }
  }
  process.exitCode = code;
  // Whatever a stuck peer or a failed check left open must not keep a finished run alive; output is flushed by then.
  setTimeout(() => process.exit(code), 2_000).unref();
}
