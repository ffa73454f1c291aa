import { createInterface } from 'node:readline/promises';
import { InputError, type SetupCode } from '../protocol/index.js';
import { HookFailed, runHook } from './hooks.js';

/** Where the setup code comes from that is not known before M2 has come. @throws HookFailed */
export type CodeSource = () => Promise<SetupCode>;

/** How long a command may take to read the code, and a user to type it (ms). */
const CODE_DEADLINE = 60_000;
const TYPING_DEADLINE = 180_000;
/** Failures in a row after which a command is not run again: each may take its whole time. */
const MOST_FAILURES = 3;

/**
 * The code by a shell command, run anew for each M2 that has come: a display may show another one each time. The last
 * line of stdout that is not blank is the code.
 */
export function codeByCommand(
  command: string,
  target: string,
  parse: (text: string) => SetupCode,
  deadline = CODE_DEADLINE,
): CodeSource {
  let failures = 0;
  let last: HookFailed | undefined;
  return async () => {
    if (last !== undefined && failures >= MOST_FAILURES) throw last;
    try {
      const env = { HAPSPEC_TARGET: target };
      const { stdout } = await runHook('code-command', command, { deadline, env, secret: true });
      const code = codeIn(stdout, parse);
      failures = 0;
      return code;
    } catch (error) {
      if (!(error instanceof HookFailed)) throw error;
      failures++;
      last = error;
      throw error;
    }
  };
}

/** The code in what a command wrote. @throws HookFailed, which shows nothing of it */
function codeIn(stdout: string, parse: (text: string) => SetupCode): SetupCode {
  const line = stdout
    .split(/\r?\n|\r/)
    .map((text) => text.trim())
    .findLast((text) => text !== '');
  if (line === undefined)
    throw new HookFailed(
      'code-command',
      'wrote nothing to stdout: it has to write the setup code there',
      undefined,
    );
  try {
    return parse(line);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new HookFailed('code-command', `wrote no setup code: ${error.message}`, undefined);
  }
}

/**
 * The code typed in on a terminal, asked for when the first M2 has come and good for the whole run.
 * @param input - a terminal that is read from
 * @param output - where the question goes; what is typed is not shown by anything but the terminal
 */
export function codeByPrompt(
  parse: (text: string) => SetupCode,
  input: NodeJS.ReadableStream = process.stdin,
  output: NodeJS.WritableStream = process.stderr,
  deadline = TYPING_DEADLINE,
): CodeSource {
  let asked: Promise<SetupCode> | undefined;
  const ask = async (): Promise<SetupCode> => {
    const late = AbortSignal.timeout(deadline);
    const lines = createInterface({ input, output, terminal: false });
    // The end of the input answers nothing.
    const ended = new AbortController();
    lines.once('close', () => ended.abort());
    try {
      for (;;) {
        const text = await lines.question('setup code of the accessory (XXX-XX-XXX): ', {
          signal: AbortSignal.any([late, ended.signal]),
        });
        try {
          return parse(text.trim());
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          output.write(`${error.message}\n`);
        }
      }
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
      const why = late.aborted ? `none was typed within ${deadline / 1000} s` : 'the input has ended';
      throw new HookFailed(
        'code',
        `is needed, and ${why}: give --code XXX-XX-XXX or --code-command CMD`,
        undefined,
      );
    } finally {
      lines.close();
    }
  };
  return () => (asked ??= ask());
}
