import { createRequire } from 'node:module';
import type * as cms from '@peculiar/asn1-cms';
import type * as schema from '@peculiar/asn1-schema';
import type * as x509 from '@peculiar/asn1-x509';

interface Asn1 {
  readonly cms: typeof cms;
  readonly schema: typeof schema;
  readonly x509: typeof x509;
}

const require = createRequire(import.meta.url);
let loaded: Asn1 | undefined;

/** ASN.1 as certificates need it. Loaded when the first is met: it takes a third of the start of any command, and few need it. */
export function asn1(): Asn1 {
  loaded ??= {
    cms: require('@peculiar/asn1-cms') as typeof cms,
    schema: require('@peculiar/asn1-schema') as typeof schema,
    x509: require('@peculiar/asn1-x509') as typeof x509,
  };
  return loaded;
}
