/** Keys that a client makes, so that what is sent twice is made once. */

const KEY_BYTES = 16;

/** Return a key that no one else makes. Not `randomUUID`: browsers lack it on plain HTTP. */
export const newKey = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};
