import { excluded, suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import type { Case, Requirement } from '../runner/index.js';

/** Text in Markdown as it stands: nothing of it is markup. */
function plain(text: string): string {
  return text.replace(/[\\`*_<>[\]|#~]/g, (character) => `\\${character}`);
}

/** A link to the page of a chapter. */
function pageOf(chapter: string): string {
  return `${chapter}.md`;
}

/** A requirement with the checks of it that stand in one chapter, and the faults that break it. */
function section(requirement: Requirement, cases: readonly Case[]): string[] {
  const { id, title, level, stimulus, expected, rationale, source } = requirement;
  const breaking = faults.filter(({ breaks }) => breaks.includes(id));
  return [
    `## ${id} ${plain(title)}`,
    '',
    `${level}${requirement.silent_security ? ', security: a violation shows nowhere else' : ''}.`,
    '',
    `- **Sent**: ${plain(stimulus)}`,
    `- **Expected**: ${plain(expected)}`,
    `- **Why**: ${plain(rationale)}`,
    `- **Source**: ${plain(source)}`,
    `- **Checks**: ${cases.map((entry) => `\`${entry.id}\`${entry.kind === 'watch' ? ' (looks at every message of the run)' : ''}`).join(', ')}`,
    `- **Faults**: ${breaking.map(({ name, story }) => `\`${name}\` (${plain(story)})`).join('; ')}`,
    '',
  ];
}

/** The catalogue as Markdown, a page for each chapter of the suite and one that leads to them, by file name. */
export function pages(): ReadonlyMap<string, string> {
  const chapters = new Map<string, Map<Requirement, Case[]>>();
  for (const entry of suite) {
    const requirements = chapters.get(entry.chapter) ?? new Map<Requirement, Case[]>();
    chapters.set(entry.chapter, requirements);
    requirements.set(entry.requirement, [...(requirements.get(entry.requirement) ?? []), entry]);
  }
  const made = new Map<string, string>();
  for (const [chapter, requirements] of chapters)
    made.set(
      pageOf(chapter),
      [
        `# ${chapter}`,
        '',
        ...[...requirements].flatMap(([requirement, cases]) => section(requirement, cases)),
      ].join('\n'),
    );
  const lines = [...chapters].map(([chapter, requirements]) => {
    const cases = [...requirements.values()].flat();
    const areas = [...new Set([...requirements.keys()].map(({ area }) => area))];
    return `| [${chapter}](${pageOf(chapter)}) | ${areas.map(plain).join(', ')} | ${requirements.size} | ${cases.length} |`;
  });
  made.set(
    'README.md',
    [
      '# What is checked',
      '',
      'Written by `npx hapspec list --markdown docs/checks`: each requirement with what is sent, what may come back, why, by which',
      'source, its checks, and the faults of the reference accessory that they are proven by.',
      '',
      '| chapter | areas | requirements | checks |',
      '| --- | --- | ---: | ---: |',
      ...lines,
      '',
      ...[...excluded].map(([id, reason]) => `${id} has no check: ${plain(reason)}.\n`),
    ].join('\n'),
  );
  return made;
}
