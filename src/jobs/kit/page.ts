import { createHash } from 'node:crypto';
import { Markup, markup } from '../../verify/report/index.ts';
import { titleOf, type KitFacts, type KitIdentity } from './facts.ts';
import { PAGE_STYLE } from './page-style.ts';
import { qrCode } from './qr-code.ts';
import { disasterSteps } from './steps.ts';

/** kit.html: one page to be printed and put away. The policy lets a browser load and run nothing, as in the drill's report. */
export async function renderPage(facts: KitFacts): Promise<string> {
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(PAGE_STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;
  const secrets = await Promise.all(facts.identities.map(secret));
  return markup`<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8"/>
  <meta http-equiv="Content-Security-Policy" content="${policy}"/>
  <meta name="referrer" content="no-referrer"/>
  <title>Recovery kit of ${titleOf(facts)}</title>
  <style>${new Markup(PAGE_STYLE)}</style>
</head>
<body>
  <h1>Recovery kit of ${titleOf(facts)}</h1>
  <p>Made ${facts.made} by lifeboat ${facts.version}. ${secrets.length > 0 ? 'Secret: the identity below opens every backup. Keep it in two places, away from the server.' : 'Holds no secret: the recovery identity has to be kept elsewhere.'}</p>
  ${secrets}
  <section><h2>In a disaster</h2><ol>${disasterSteps(facts).map((text) => markup`<li>${text}</li>`)}</ol></section>
  <section><h2>Where the backups are</h2>${rows([
    ...facts.locations.map(({ name, place }) => [name, place] as const),
    ['repository id', facts.repositoryId],
  ])}<p>Credentials for these places are not in this kit.</p></section>
  <section><h2>Who can open them</h2>${rows([
    ...facts.keys.recipients.map(({ recipient }) => ['recovery identity of', recipient] as const),
    ['data key', facts.keys.dataKeyObject],
    ['host key', facts.keys.hostPublicKey],
    ['admin key', facts.keys.adminPublicKey],
  ])}</section>
  ${signingKeys(facts)}
  <section><h2>SHA-256 of the files in the kit</h2>${rows(Object.entries(facts.hashes))}</section>
</body>
</html>
`.text;
}

async function secret({ identity, recipient }: KitIdentity): Promise<Markup> {
  const text = identity.reveal();
  return markup`<section class="secret">${await qrCode(text)}<div><p class="text">${text}</p><p>Recovery identity of <code>${recipient}</code>. The QR code is the same text.</p></div></section>`;
}

function signingKeys({ signingKeys: keys }: KitFacts): Markup {
  const body =
    keys === undefined
      ? markup`<p>Not included: the kit was made without an identity, or before the first snapshot.</p>`
      : markup`${rows(keys.public.map(({ keyId, publicKey }) => [keyId, publicKey]))}<p>If the private key is lost, homeserver.yaml of a new server needs:</p><pre>${keys.oldSigningKeys.trimEnd()}</pre>`;
  return markup`<section><h2>Public signing keys of the homeserver</h2>${body}</section>`;
}

function rows(pairs: readonly (readonly [string, string])[]): Markup {
  return markup`<table>${pairs.map(([name, value]) => markup`<tr><th scope="row">${name}</th><td><code>${value}</code></td></tr>`)}</table>`;
}
