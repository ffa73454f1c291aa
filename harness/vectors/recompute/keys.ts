import type { Edit, Fields } from '../format.js';
import { flip, hkdf, join, labels, nonceOf, open, seal, sha, stripped } from '../second.js';
import { type Claims, argument, editOf, hex, number, text, verdict } from './shared.js';

export function hkdfGroup(group: Fields): Claims {
  const known = labels[text(group['label'])];
  return known === undefined
    ? { label: Object.keys(labels).join(' or ') }
    : { salt: known[0], info: known[1] };
}

export function hkdfLabel(test: Fields, group: Fields): Claims {
  const ikm = hex(test['ikm']);
  const [salt, info, size] = [text(group['salt']), text(group['info']), number(test['size'])];
  const right = hkdf(ikm, salt, info, size);
  const made = (): Buffer => {
    switch (editOf(test)?.op) {
      case 'sha256':
        return hkdf(ikm, salt, info, size, 'sha256');
      case 'swapped':
        return hkdf(ikm, info, salt, size);
      case 'no-salt':
        return hkdf(ikm, '', info, size);
      case 'no-info':
        return hkdf(ikm, salt, '', size);
      case 'stripped-ikm':
        return hkdf(stripped(ikm), salt, info, size);
      case 'half-ikm':
        return hkdf(ikm.subarray(0, ikm.length >> 1), salt, info, size);
      case 'nul-terminated':
        return hkdf(ikm, `${salt}\0`, `${info}\0`, size);
      case 'extract-only':
        return extracted(ikm, salt).subarray(0, size);
      default:
        return right;
    }
  };
  const key = made();
  return { key, right: editOf(test) && right, result: verdict(!key.equals(right)) };
}

/** HMAC(salt, ikm) from its definition: the first half of HKDF. */
function extracted(ikm: Buffer, salt: string): Buffer {
  const block = (byte: number): Buffer => {
    const padded = Buffer.alloc(128, byte);
    Buffer.from(salt).forEach((value, i) => (padded[i]! ^= value));
    return padded;
  };
  return sha('sha512', block(0x5c), sha('sha512', block(0x36), ikm));
}

const nonceLabels = ['PS-Msg04', 'PS-Msg05', 'PS-Msg06', 'PV-Msg02', 'PV-Msg03'];

export function aeadGroup(group: Fields): Claims {
  return nonceLabels.includes(text(group['label'])) ? {} : { label: nonceLabels.join(' or ') };
}

export function aeadLabel(test: Fields, group: Fields): Claims {
  const [key, plaintext, label] = [hex(test['key']), hex(test['plaintext']), text(group['label'])];
  const nonce = nonceOf(label);
  const right = seal(key, nonce, plaintext);
  const edit = editOf(test);
  const made = (): Buffer => {
    switch (edit?.op) {
      case 'flip':
        return flip(right, edit.bit!);
      case 'cut':
        return right.subarray(0, edit.to);
      case 'append':
        return join(right, argument(edit));
      case 'label-first':
        return seal(key, join(label, Buffer.alloc(4)), plaintext);
      case 'other-label':
        return seal(key, nonceOf(edit.text!), plaintext);
      case 'with-aad':
        return seal(key, nonce, plaintext, argument(edit));
      case 'tag-first':
        return join(right.subarray(-16), right.subarray(0, -16));
      default:
        return right;
    }
  };
  const sealed = made();
  const opens = open(key, nonce, sealed)?.equals(plaintext) ?? false;
  return { nonce, aad: '', sealed, right: edit && right, result: verdict(!opens) };
}

export function oneFrame(key: Buffer, counter: bigint, plaintext: Buffer, edit?: Edit): Buffer {
  const size = Buffer.of(plaintext.length & 0xff, plaintext.length >> 8);
  const reversed = Buffer.from(size).reverse();
  let header = size;
  let aad = size;
  let nonce = nonceOf(counter);
  switch (edit?.op) {
    case undefined:
      break;
    case 'no-aad':
      aad = Buffer.alloc(0);
      break;
    case 'aad-big-endian':
      aad = reversed;
      break;
    case 'header-big-endian':
      header = aad = reversed;
      break;
    case 'declared':
      header = Buffer.of(edit.to! & 0xff, (edit.to! >> 8) & 0xff);
      break;
    case 'counter':
      nonce = nonceOf(BigInt(edit.to!));
      break;
    case 'nonce-left':
      nonce = join(nonce.subarray(4), nonce.subarray(0, 4));
      break;
    case 'other-key':
      key = argument(edit);
  }
  return join(header, seal(key, nonce, plaintext, aad));
}

export function frameStream(test: Fields): Claims {
  const [key, plaintext] = [hex(test['key']), hex(test['plaintext'])];
  const sizes = test['sizes'] as readonly number[];
  const edit = editOf(test);
  const start = BigInt(text(test['counter']));
  if (sizes.reduce((sum, size) => sum + size, 0) !== plaintext.length)
    return { sizes: `together ${plaintext.length}` };
  // What is wrong is wrong in the first frame; the others are as they should be.
  const sealed = (change: Edit | undefined): Buffer[] => {
    let [counter, at] = [start, 0];
    return sizes.map((size, index) =>
      oneFrame(key, counter++, plaintext.subarray(at, (at += size)), index === 0 ? change : undefined),
    );
  };
  let frames = sealed(edit);
  const [first] = frames;
  if (edit?.op === 'flip') frames = [flip(first!, edit.bit!), ...frames.slice(1)];
  if (edit?.op === 'flip-last') frames = [...frames.slice(0, -1), flip(frames.at(-1)!, edit.bit!)];
  if (edit?.op === 'cut') frames = [...frames.slice(0, -1), frames.at(-1)!.subarray(0, edit.to)];
  if (edit?.op === 'replay') frames = [...frames, first!];
  if (edit?.op === 'swapped') frames = [...frames].reverse();
  const odd = sizes.some((size) => size === 0 || size > 1024);
  return {
    frames,
    right: edit && sealed(undefined),
    result: edit !== undefined ? 'invalid' : odd ? 'acceptable' : 'valid',
  };
}
