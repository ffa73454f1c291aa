import type { Command, Option } from 'commander';
import { declarable } from '../device/index.js';
import { InputError } from '../protocol/index.js';

export const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** Words that are asked of hapspec itself when they are needed: they change with the suite. */
export const lists = ['checks', 'faults', 'targets', 'explainable'] as const;
export type List = (typeof lists)[number];

type Takes =
  | { readonly kind: 'nothing' | 'file' | 'folder' | 'text' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'list'; readonly list: List };

/** Values of options by their long names, where they are not any text. */
export const values: Readonly<Record<string, Takes>> = {
  '--level': { kind: 'words', words: ['must', 'should', 'varies'] },
  '--declares': { kind: 'words', words: declarable },
  '--start-line': { kind: 'words', words: ['rtsp', 'http'] },
  '--ci': { kind: 'words', words: ['github', 'gitlab', 'azure', 'jenkins', 'none'] },
  '--kind': { kind: 'words', words: ['hap', 'airplay'] },
  '--latency': { kind: 'words', words: ['esp32'] },
  '--list': { kind: 'words', words: lists },
  '--only': { kind: 'list', list: 'checks' },
  '--skip': { kind: 'list', list: 'checks' },
  '--fault': { kind: 'list', list: 'faults' },
};

/** Arguments by command, where they are not files. */
export const argumentsOf: Readonly<Record<string, Takes>> = {
  run: { kind: 'list', list: 'targets' },
  diagnose: { kind: 'list', list: 'targets' },
  explain: { kind: 'list', list: 'explainable' },
  schema: { kind: 'words', words: ['config', 'report', 'selftest'] },
  completion: { kind: 'words', words: shells },
};

function takesOf(option: Option, command: string): Takes {
  const [, placeholder] = /<([^>]+)>/.exec(option.flags) ?? [];
  if (placeholder === undefined) return { kind: 'nothing' };
  // The self-test picks faults.
  if (command === 'selftest' && option.long === '--only') return { kind: 'list', list: 'faults' };
  const known = values[option.long ?? ''];
  if (known !== undefined) return known;
  if (/FILE|REPORT|SNAPSHOT/.test(placeholder)) return { kind: 'file' };
  return { kind: /DIR/.test(placeholder) ? 'folder' : 'text' };
}

interface Shape {
  /** `run`, or `clone check`. */
  readonly path: string;
  readonly about: string;
  readonly options: readonly { readonly long: string; readonly about: string; readonly takes: Takes }[];
  readonly argument: Takes;
  readonly commands: readonly string[];
}

function shapesOf(root: Command): readonly Shape[] {
  const shapes: Shape[] = [];
  const visit = (command: Command, path: string): void => {
    const { options, commands } = command;
    shapes.push({
      path,
      about: command.description(),
      options: [
        ...options.map((option) => ({
          long: option.long!,
          about: option.description,
          takes: takesOf(option, path),
        })),
        { long: '--help', about: 'display help for command', takes: { kind: 'nothing' } },
      ],
      argument: argumentsOf[path] ?? { kind: 'file' },
      commands: commands.map((one) => one.name()),
    });
    for (const one of commands) visit(one, `${path} ${one.name()}`.trim());
  };
  visit(root, '');
  return shapes;
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const ask = (list: List): string => `hapspec completion --list ${list} 2>/dev/null`;

/** What a shell of the kind of bash has to do for a value. */
function bashValue(takes: Takes): string {
  switch (takes.kind) {
    case 'words':
      return `offer=${quoted(takes.words.join(' '))}`;
    case 'list':
      return `offer=$(${ask(takes.list)})`;
    case 'file':
      return 'files=any';
    case 'folder':
      return 'files=folders';
    case 'text':
    case 'nothing':
      return ':';
  }
}

/**
 * For bash from 3.2 on, and for zsh, which runs it as `sh` would: names of its own parameters (`path`, `words`) must not be
 * used here, as `path` is tied to PATH. Files are left to the shell, which knows how to quote them.
 */
function bash(shapes: readonly Shape[]): string {
  const paths = shapes.flatMap(({ path, commands }) => commands.map((name) => `${path} ${name}`.trim()));
  const lines = [
    '_hapspec() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} before= command= begin= word= offer= files=',
    '  local i known',
    '  ((COMP_CWORD > 1)) && before=${COMP_WORDS[COMP_CWORD - 2]}',
    '  COMPREPLY=()',
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    word=${COMP_WORDS[i]}',
    '    [[ $word == -* ]] && continue',
    '    known="${command:+$command }$word"',
    '    case "$known" in',
    `      ${paths.map((path) => `"${path}"`).join('|')}) command=$known ;;`,
    '    esac',
    '  done',
    // Colons and equals signs end a word for bash: embedded:FAULT and --level=must are three of them. For zsh they do not.
    '  if [[ $cur == [:=] ]]; then before=$prev prev=$cur cur=; fi',
    "  if [[ $prev == ':' && $before == embedded ]]; then",
    '    prev=embedded:',
    "  elif [[ $prev == '=' ]]; then",
    '    prev=$before',
    '  elif [[ $cur == --*=* ]]; then',
    '    prev=${cur%%=*} begin=${cur%%=*}= cur=${cur#*=}',
    '  fi',
    '  case "$command $prev" in',
    `    *' embedded:') offer=$(${ask('faults')}) ;;`,
    ...shapes.flatMap(({ path, options }) =>
      options
        .filter(({ takes }) => takes.kind !== 'nothing')
        .map(({ long, takes }) => `    "${path} ${long}") ${bashValue(takes)} ;;`),
    ),
    // Behind the colon of a port.
    "    *' :') ;;",
    '    *)',
    '      case "$command" in',
    ...shapes.map(({ path, options, argument, commands }) => {
      const options_ = options.map(({ long }) => long).join(' ');
      const rest = commands.length > 0 ? `offer=${quoted(commands.join(' '))}` : bashValue(argument);
      return `        "${path}") if [[ $cur == -* ]]; then offer='${options_}'; else ${rest}; fi ;;`;
    }),
    '      esac',
    '      ;;',
    '  esac',
    // The shell offers files where nothing else is; the bash of macOS and zsh cannot be told not to.
    '  if [[ $files == folders ]]; then',
    '    compopt +o default -o dirnames 2>/dev/null',
    '  elif [[ -z $files ]]; then',
    '    compopt +o default 2>/dev/null',
    '    COMPREPLY=($(compgen -P "$begin" -W "$offer" -- "$cur"))',
    '  fi',
    '}',
    'complete -o default -F _hapspec hapspec',
  ];
  return lines.join('\n');
}

/** With its own test for the command on the line: a value or an argument may have the name of another command. */
function fish(shapes: readonly Shape[]): string {
  const known = shapes.flatMap(({ path, commands }) => commands.map((name) => `${path} ${name}`.trim()));
  const lines = [
    'function __hapspec_at',
    "  set -l command ''",
    '  for word in (commandline -opc)[2..]',
    "    string match -q -- '-*' $word; and continue",
    '    set -l deeper (string trim -- "$command $word")',
    `    contains -- $deeper ${known.map(quoted).join(' ')}; and set command $deeper`,
    '  end',
    '  test "$command" = "$argv"',
    'end',
    'complete -c hapspec -f',
  ];
  for (const { path, about, options, argument, commands } of shapes) {
    const when = `-n ${quoted(`__hapspec_at ${path}`.trim())}`;
    for (const name of commands) {
      const of = shapes.find((shape) => shape.path === `${path} ${name}`.trim())!;
      lines.push(`complete -c hapspec ${when} -a ${name} -d ${quoted(of.about)}`);
    }
    for (const option of options)
      lines.push(
        `complete -c hapspec ${when} -l ${option.long.slice(2)}${fishValue(option.takes)} -d ${quoted(option.about)}`,
      );
    if (commands.length === 0 && about !== '') {
      const value = fishValue(argument).replace(/^ -[rx]/, '');
      lines.push(`complete -c hapspec ${when}${argument.kind === 'file' ? ' -F' : value}`);
    }
  }
  return lines.join('\n');
}

function fishValue(takes: Takes): string {
  switch (takes.kind) {
    case 'nothing':
      return '';
    case 'words':
      return ` -x -a ${quoted(takes.words.join(' '))}`;
    case 'list':
      return ` -x -a ${quoted(`(${ask(takes.list)})`)}`;
    case 'file':
      return ' -r -F';
    case 'folder':
      return " -x -a '(__fish_complete_directories)'";
    case 'text':
      return ' -x';
  }
}

/**
 * `hapspec completion`: the script that completes its commands, options and their values, made of the commands themselves.
 * @throws InputError for a shell there is none for.
 */
export function completionScript(shell: string, root: Command): string {
  const shapes = shapesOf(root);
  switch (shell as Shell) {
    case 'bash':
      return bash(shapes);
    case 'zsh':
      // zsh runs completions written for bash; compinit is what it needs for that.
      return [
        'autoload -Uz compinit bashcompinit',
        '(( $+functions[compdef] )) || compinit',
        'bashcompinit',
        bash(shapes),
      ].join('\n');
    case 'fish':
      return fish(shapes);
    default:
      throw new InputError(`completion: expected ${shells.join(', ')}, got "${shell}"`);
  }
}
