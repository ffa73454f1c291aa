import { type Bytes, text } from '../protocol/index.js';

/** One characteristic of the attribute database. */
export interface Characteristic {
  readonly aid: number;
  readonly iid: number;
  readonly perms: readonly string[];
  readonly format: string;
  readonly value: unknown;
}

/** The characteristics in the body of GET /accessories, or undefined when it is not what it should be. */
export function readAccessories(body: Bytes): readonly Characteristic[] | undefined {
  interface Listed {
    readonly aid?: unknown;
    readonly services?: { readonly characteristics?: Partial<Characteristic>[] }[];
  }
  try {
    const { accessories } = JSON.parse(text(body)) as { accessories: Listed[] };
    return accessories.flatMap(({ aid, services = [] }) =>
      services
        .flatMap(({ characteristics = [] }) => characteristics)
        .map(({ iid, perms = [], format = '', value }) => ({
          aid: Number(aid),
          iid: Number(iid),
          perms,
          format,
          value,
        })),
    );
  } catch {
    return undefined;
  }
}
