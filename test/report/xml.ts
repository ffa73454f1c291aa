import { DOMParser, type Document, type Element } from '@xmldom/xmldom';

/** Parses as strictly as the library can: whatever it would only warn about is an error here. */
export function parseStrictly(xml: string): Document {
  return new DOMParser({
    onError(level, message) {
      // U+FFFD is legal XML and what writers put where something dangerous stood.
      if (level === 'warning' && message.startsWith('Unicode replacement character detected')) return;
      throw new Error(`${level}: ${message}`);
    },
  }).parseFromString(xml, 'text/xml');
}

export function elements(parent: Document | Element, name: string): Element[] {
  return [...parent.getElementsByTagName(name)];
}

/** Properties directly inside an element, by name. */
export function propertiesOf(element: Element): Record<string, string> {
  const found: Record<string, string> = {};
  for (const property of elements(element, 'property'))
    if (property.parentNode?.parentNode === element)
      found[property.getAttribute('name') ?? ''] = property.getAttribute('value') ?? '';
  return found;
}

/** Characters no XML 1.0 document may hold (§2.2), lone surrogates included. */
export const illegalInXml = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
