// OpenPGP.js as a program: makes a key, and reads a message with it.
//
// make KIND NAME ADDRESS KEY CERTIFICATE
// read KEY SENDER MESSAGE PLAINTEXT NOW    prints "verified", or why the signature was not
//
// EMBARGOD_READERS names the folder in which `npm ci` was run.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const openpgp = createRequire(`${process.env.EMBARGOD_READERS}/`)('openpgp');

const kinds = {
  'Cv25519': { type: 'ecc', curve: 'curve25519Legacy' },
  'X25519 v4': { type: 'curve25519' },
  'RSA 2048': { type: 'rsa', rsaBits: 2048 },
  'P-256': { type: 'ecc', curve: 'nistP256' },
  'P-384': { type: 'ecc', curve: 'nistP384' },
  'P-521': { type: 'ecc', curve: 'nistP521' },
  // It says in its features that it reads version 2 of the container.
  'Cv25519 SEIPDv2': { type: 'ecc', curve: 'curve25519Legacy', config: { aeadProtect: true } },
  'X25519 v6': { type: 'curve25519', config: { v6Keys: true, aeadProtect: true } },
  'X448 v6': { type: 'curve448', config: { v6Keys: true, aeadProtect: true } },
  'P-256 v6': { type: 'ecc', curve: 'nistP256', config: { v6Keys: true, aeadProtect: true } },
};

async function make(kind, name, address, key, certificate) {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name, email: address }], format: 'armored', ...kinds[kind],
  });
  writeFileSync(key, privateKey);
  writeFileSync(certificate, publicKey);
}

async function read(key, sender, message, plaintext, now) {
  const { data, signatures } = await openpgp.decrypt({
    message: await openpgp.readMessage({ armoredMessage: readFileSync(message, 'latin1') }),
    decryptionKeys: await openpgp.readPrivateKey({ armoredKey: readFileSync(key, 'latin1') }),
    verificationKeys: await openpgp.readKey({ armoredKey: readFileSync(sender, 'latin1') }),
    format: 'binary',
    date: new Date(now),
  });
  writeFileSync(plaintext, data);
  if (signatures.length === 0) {
    console.log('no signature');
    return;
  }
  try {
    await Promise.all(signatures.map((signature) => signature.verified));
    console.log('verified');
  } catch (error) {
    console.log(error.message);
  }
}

const [verb, ...words] = process.argv.slice(2);
if (verb === 'version') {
  console.log(openpgp.config.versionString);
} else {
  await (verb === 'make' ? make : read)(...words);
}
