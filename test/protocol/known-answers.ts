/** Known answers from outside this project; hexadecimal unless said otherwise. */

/** HomeKitADK `Tests/HAPCryptoTest.c`, inputs of RFC 5054 appendix B. 384-byte values by their SHA-256. */
export const srpAlice = {
  user: 'alice',
  password: 'password123',
  salt: 'beb25379d1a8581eb5a727673a2441ee',
  a: '60975527035cf2ad1989806f0407210bc81edc04e2762a56afd529ddda2d4393',
  b: 'e487cb59d31ac550471e81f00f6928e01dda08e974a004f49e61f5d105284d20',
  k: 'a9c2e2559bf0ebb53f0cbbf62282906bede7f2182f00678211fbd5bde5b285033a4993503b87397f9be5ec02080fedbc0835587ad039060879b8621e8c3659e0',
  x: 'b149ecb0946b0b206d77e73d95deb7c41bd12e86a5e2eea3893d5416591a002ff94bfea384dc0e1c550f7ed4d5a9d2ad1f1526f01c56b5c10577730cc4a4d709',
  u: '03ae5f3c3fa9eff1a50d7dbb8d2f60a1ea66ea712d50ae976ee34641a1cd0e51c4683da383e8595d6cb56a15d5fbc7543e07fbddd316217e01a391a18ef06dff',
  sha256: {
    A: '71f46d1d2c9ec34bdc2f84272e74d959c24c07326f1e7c5313a525fcac3c2b98',
    B: '930e77f7b16c5897a77e5765ebb01501e0ca8f0e986032d71149b759d6f2e071',
    v: 'a9cdc6509abe15bf6c7d76d360dc6c4eee008095013e191011395de78063c2a7',
    S: '616512f1b12234251a7cbb43af147cc89b7526114ed70cc593f39d782587cf01',
  },
  K: '5cbc219db052138ee1148c71cd4498963d682549ce91ca24f098468f06015beb6af245c2093f98c3651bca83ab8cab2b580bbf02184fefdf26142f73df95ac50',
  M1: '5f7c14ab57ed0e94fd1d78c6b4dd09ed7e340b7e05d419a9fd760f6b35e523d1310777a1ae1d2826f596f3a85116cc457c7c964d4f44ded5559da818c88b617f',
  M2: '2fa0e81f5cb73b88fa0964270f321dd641f2227a5d805c40f1bfe96aaf6a19ffce8e23287965a39eab9d5a02215f89e128177ed2c4f103e655a045531bcbf7ad',
} as const;

/** HAP-python `tests/test_hsrp.py`: an A of 24 bytes, which tells padding apart from its absence. */
export const srpShortA = {
  password: '123-45-543',
  salt: 'ab4f89ef6123eb49422557bbd7250491',
  b: '8fec004db2adbc67f0d1d985896a5112',
  A: '5665ced4904c45784b449d37165c40b6b89f011a5d86a41c',
  B: { head: '5ebd253411a68b82', tail: '41804d69e9a953e6' },
  K: '947d050e162ff34a075956e286bc02ee92474693320baedc801e57af6f70f6b11674c4ba938bb403baf4a8e8dfc2dbdd5ddd21260fab7de736505c8cf7141454',
  M1: 'af6e5aef8e84beaae24d7d35270cb8b90713a374bb664f4c0539a354af023105f72adb5da35d92bca70e64c14388570be76ee67c1eb4f9705563a28d05d7ab49',
  M2: {
    asSent:
      'e100cfe298af1e0274620bfc6c4b46ee1b80f690b78a9f133379233e8d2fc188938e68094e9bdac22d1a28e3ca0b66f3c4cac4ecfa2fecb71681dd25c969f990',
    padded:
      '1c2758dfa9779bb7ba40d9c6572c504aeb12fe1957fdec2ab639a5c486db50f2cf4abb9bb06aa74fe00a142125e24f618821f784649fe63d83e48a19768ef27d',
  },
} as const;

/** Keys derived from K of `srpAlice`, 32 bytes each. */
export const keysFromAlice = {
  'Pair-Setup-Encrypt': '2a05883492dffdd216ca4a3c2aa472b67ddd49e2a061b86929539afcb6abfef4',
  'Pair-Setup-Controller-Sign': 'e45baa0218c40756559b95d21736fccc641a2977b063b2c82be2de896aa779b3',
  'Pair-Setup-Accessory-Sign': '5a55453e44c7721cf44179f3f694eb722d887e264cd3586d0328419d43092e1c',
  'MFi-Pair-Setup': '8e78c09e6f8d65124a532f8be372487092c4f8792eef6fec2f9c2df485c9aad7',
  'Control-Write': 'e4ae7f784030893fcd0345eaf0b433651afe78fe541591a1ecfa1a5d4caf196c',
  'Control-Read': '658e314382c90c4c2ea97303aaff9e41e570647f42ca80461e1e6bd1e3af3ea6',
  'Events-Write': 'db3532c3b1378bb2c5272ca1b74e1de51e824befa77ef54ae247255ea3d03395',
  'Events-Read': '48fa62bcbaa37487d03b6ab23387d8fa6e5e18b0e7680e795647482ba22abc16',
  'Split-Accessory': 'a888e17b6a1a8f185cc57fb6a0527a244f564268920659d6fa290735d64bf5ad',
  'Split-Controller': '1f88cdf7404cebf83ff4b7b9afb68fcdb4a4481baafa0782d2aeb7df2fa67a2e',
} as const;

/** AirPlay's data stream, salted with a decimal seed; from the same K. */
export const dataStreamFromAlice = {
  salt: 'DataStream-Salt15014746994705656022',
  output: '63643d03f96f77f653981ad985d4f5b8f6469493710a61c567a09e3af5dd01d6',
  input: '5e4a27c4d957fd57eff3b613b0ee444ab8ee0d144deeb4aee7575bfbed64d8cf',
} as const;

/** First frame of each direction under `keysFromAlice`. */
export const framesFromAlice = {
  toAccessory: {
    text: 'OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n',
    wire: '1f003538ad7c5b98d04f027c8e10f79293bc7e6646ab44fddd6383481610c412d9be3f2c7544a6d8f6830f1d0c5b3e16e7',
  },
  toController: {
    text: 'RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n',
    wire: '1c00d31af229524e6bd62a8e25447b29791d9f0680426cdd6261804449c47fdf99895690bb05ccf30e63a9249c52',
  },
} as const;

/** One plaintext sealed under the Pair-Setup-Encrypt key with each nonce label of Pair Setup. */
export const sealsFromAlice = {
  plaintext: '0a0100090100',
  'PS-Msg04': '185c4984021385aeaa62262467a0750ac75747fd66f2',
  'PS-Msg05': '214e08fb5e8360dec0cdd066f80640ffffb72ea5cd54',
  'PS-Msg06': '5e4cd90f572c342a04c180005e6cd6c285d707775476',
} as const;

/** A whole Pair Verify between two fixed identities. */
export const pairVerify = {
  accessory: {
    id: 'AA:BB:CC:DD:EE:FF',
    ltsk: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ltpk: '03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8',
    secret: '404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f',
    publicKey: '79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a',
  },
  controller: {
    id: '00000000-0000-4000-8000-000000000001',
    ltsk: '202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f',
    ltpk: '29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7',
    secret: '606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f',
    publicKey: '675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f',
  },
  shared: 'd6fb939511b2381bc8599b4b8edc5968829450dfd7a87aebe78a703cd04cd54e',
  encryptKey: 'c30905336ca06ef9064cc8468ae020785fbfdd073f33ce9102074f4b04a47cc7',
  m2: 'edf837fe47b2d5087761063d42fccb04372863c0a142ee301d1a63d6d75ae64138bc04a3a273983a3d5b8d07f5c52985f637dbf112dada7600d186acd5e5cbacef910c2cb79cabc2c9c8cb04f5012ee3af86f3d2819f0d8389a05d43b16bbd97a14bc92c1a',
  m3: '003aa206b3642d21ab9d3c7f6a2d200ce47bebade2dff28b1e8011c6c1c619c4b2e0f9b89d6c0d95caf43a16324e24e2084ed86c0aebe378c0bd16b2eb9634e3f7233dc8789307313745757dcffdfa11ed8ddea30ea793f049ceb4b9807bbf352ccf294c47a91d6c64a6980c488067769fab2471f4462520',
  controlWrite: '2cc5895b116f068112382b06cae7cbe8c7313b085a86023f9658ea883d39f718',
  controlRead: '69951376f7adf1ee6045010d155cfb373eaf7c316cce116d2a06a0e9f6afe148',
} as const;

/** RFC 7748 §5.2 and §6.1. */
export const x25519Answers = [
  {
    secret: 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
    publicKey: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
    shared: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
  },
  {
    secret: '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
    publicKey: 'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
    shared: '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
  },
  {
    secret: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
    publicKey: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    shared: '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  },
  {
    secret: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
    publicKey: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    shared: '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  },
] as const;

/** RFC 7748 §5.2: k and u swapped and multiplied again, after 1 and 1000 rounds. */
export const x25519Iterated = {
  1: '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079',
  1000: '684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51',
} as const;

/** Points of small order, canonical and not, with and without the bit RFC 7748 says to ignore. */
export const lowOrderPoints = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000080',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
] as const;

/** RFC 8032 §7.1, tests 1 to 3. */
export const ed25519Answers = [
  {
    secret: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
] as const;

/** RFC 8439 §2.8.2. */
export const chachaPoly = {
  key: '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f',
  nonce: '070000004041424344454647',
  aad: '50515253c0c1c2c3c4c5c6c7',
  text: "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  ciphertext:
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116',
  tag: '1ae10b594f09e26a7e902ecbd0600691',
} as const;

/** HKDF-SHA-512 with the inputs of RFC 5869 §A.1, from HomeKitADK; info is no UTF-8. */
export const hkdfAdk = {
  ikm: '0b'.repeat(22),
  salt: '000102030405060708090a0b0c',
  info: 'f0f1f2f3f4f5f6f7f8f9',
  output: '832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb',
} as const;

/** aiohomekit `tests/test_crypto_hkdf.py`: 32 characters "1" and the labels of Pair Verify. */
export const hkdfOnes = '8f433176e34e8ca29c94aa61cef5229424372f7871bf8c3b4de9e2a54ef9e508';

/** Base of the SRP cases below: verifier of 031-45-154 under the salt of `srpAlice`. */
export const leadingZeros = {
  password: '031-45-154',
  salt: srpAlice.salt,
  /** B has no leading zero byte. */
  b: '52531e6a151c07c2ac880bb502f13af25166d850b74b348de45589f11cbd540',
  /** B has one. */
  bForShortB: '390d8accfbd4db8abd1c28a7f451640fd65b164709544ea46d5b307fb80bb097',
  /** Searched for: with `b`, exactly the value named starts with a zero byte. */
  a: {
    none: '4f3bb3c5e4f043346027515b5c97fc741fe368755e9ee70137091545a4c1b11d',
    A: '27ebdcab5e916bd2887fe248d59cb2e8dec5a6a5ca96728cb36dfff7883b8a70',
    S: 'a09eb3f2c97d1b642176f0275967fb19037fdbc9962c6a128bb0c5aabb0aa3d2',
    K: 'efe00ec647108f26111fadb018e083d980271703de0455f9f95bddec14737d88',
  },
  /** Published by other projects because A has 383 bytes. */
  publishedForShortA: [
    'efb593f50397698e15edee5bf2f9236cf0596ce277f21416ac99fa31ae2bd341',
    BigInt('292137137271783308929690144371568755687').toString(16),
    BigInt('70997313118674976963008287637113704817').toString(16),
  ],
} as const;
