import { type KeyObject, constants, generateKeyPairSync, sign } from 'node:crypto';
import type { Name } from '@peculiar/asn1-x509';
import { type Bytes, type ChipKind, asn1 } from '../../protocol/index.js';

/** An authentication coprocessor: a key, its certificate, and who issued that. */
export interface MfiChip {
  readonly kind: ChipKind;
  /** The signature over `data`, hashed once: 128 bytes (rsa) or 64 (ecdsa). */
  sign(data: Bytes): Bytes;
  /** X.509, DER. */
  readonly certificate: Bytes;
  /** The same in PKCS#7 SignedData without a signer, DER. */
  readonly container: Bytes;
  /** The certificate of the authority that issued it, DER. */
  readonly root: Bytes;
}

const COMMON_NAME = '2.5.4.3';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

interface Authority {
  readonly name: string;
  readonly key: KeyObject;
  readonly certificate: Bytes;
}

function nameOf(text: string): Name {
  const { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } = asn1().x509;
  const value = new AttributeValue({ utf8String: text });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])]);
}

function issue(
  subject: string,
  key: KeyObject,
  issuer: { name: string; key: KeyObject },
  serial: number,
): Bytes {
  const { AsnConvert, OctetString } = asn1().schema;
  const { AlgorithmIdentifier, BasicConstraints, Certificate, Extension, Extensions } = asn1().x509;
  const { SubjectPublicKeyInfo, TBSCertificate, Validity, Version, id_ce_basicConstraints } = asn1().x509;
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const constraint = new BasicConstraints({ cA: subject === issuer.name });
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.of(serial).buffer,
    signature: algorithm,
    issuer: nameOf(issuer.name),
    // Over by now, as with the chips that are in use: dates do not count.
    validity: new Validity({ notBefore: new Date('2012-01-01'), notAfter: new Date('2020-01-01') }),
    subject: nameOf(subject),
    subjectPublicKeyInfo: AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
    extensions: new Extensions([
      new Extension({
        extnID: id_ce_basicConstraints,
        critical: true,
        extnValue: new OctetString(AsnConvert.serialize(constraint)),
      }),
    ]),
  });
  const signature = sign('sha256', new Uint8Array(AsnConvert.serialize(tbs)), issuer.key);
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: algorithm,
    signatureValue: new Uint8Array(signature).buffer,
  });
  return new Uint8Array(AsnConvert.serialize(certificate));
}

function contain(certificate: Bytes): Bytes {
  const { AsnConvert } = asn1().schema;
  const { Certificate } = asn1().x509;
  const { CMSVersion, CertificateChoices, CertificateSet, ContentInfo, SignedData, SignerInfos } = asn1().cms;
  const { DigestAlgorithmIdentifiers, EncapsulatedContentInfo, id_data, id_signedData } = asn1().cms;
  const held = new CertificateChoices({ certificate: AsnConvert.parse(certificate, Certificate) });
  const signed = new SignedData({
    version: CMSVersion.v1,
    digestAlgorithms: new DigestAlgorithmIdentifiers(),
    encapContentInfo: new EncapsulatedContentInfo({ eContentType: id_data }),
    certificates: new CertificateSet([held]),
    signerInfos: new SignerInfos(),
  });
  const content = AsnConvert.serialize(signed);
  return new Uint8Array(AsnConvert.serialize(new ContentInfo({ contentType: id_signedData, content })));
}

function makeAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { name, key: privateKey, certificate: issue(name, publicKey, { name, key: privateKey }, 1) };
}

function makeChip(kind: ChipKind, authority: Authority): MfiChip {
  const { publicKey, privateKey: key } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 1024 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = issue('IPA_HAPSPEC_REFERENCE', publicKey, authority, 2);
  return {
    kind,
    sign: (data) =>
      new Uint8Array(
        kind === 'rsa'
          ? sign('sha1', data, { key, padding: constants.RSA_PKCS1_PADDING })
          : sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
      ),
    certificate,
    container: contain(certificate),
    root: authority.certificate,
  };
}

const made = new Map<string, MfiChip>();
const authorities = new Map<string, Authority>();

/**
 * The chip of the reference accessory, made when it is first asked for and once in a process: its keys are no part of
 * what a seed fixes. Another `issuer` is another authority of the same name.
 */
export function mfiChip(kind: ChipKind, issuer: 'own' | 'another' = 'own'): MfiChip {
  const authority = authorities.get(issuer) ?? makeAuthority('hapspec reference authority');
  authorities.set(issuer, authority);
  const chip = made.get(`${issuer} ${kind}`) ?? makeChip(kind, authority);
  made.set(`${issuer} ${kind}`, chip);
  return chip;
}
