/** Colours for labels and tags. Its text tells a label, not its colour. */

const HUES = 12;

/** Return a hue in degrees, the same for equal labels. */
export const hueOf = (label: string): number => {
  let sum = 0;
  for (const character of label) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  }
  return ((sum % HUES) * 360) / HUES;
};
