/** Unpadded base64 (specification, appendices, "Unpadded Base64"): keys, hashes and signatures. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

/** With or without padding, standard or URL-safe alphabet; undefined when the text is something else. */
export function decodeBase64(text: string): Uint8Array | undefined {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** Unpadded URL-safe base64: event ids from room version 4 on. */
export function encodeUrlSafeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
