// Characters that nobody sees, and that change what is read: they turn the direction of what follows (Unicode's bidirectional controls), hide, or steer a terminal. A copy to be read shows
// them by their numbers. Letters that look alike are left to the reader: the entries' own bytes, in a bundle, are as they came.

// joiners, soft hyphens and variation selectors belong to how languages are written, and stay
const UNSEEN = /[\p{Cc}\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u2064\u2066-\u206F\uFEFF\u{E0000}-\u{E007F}]/gu;
const KEPT = new Set(["\t", "\n", "\r"]);

/** What nearly all text is: printable ASCII, in which there is nothing to show. It is asked first, since it is the cheaper question. */
const PRINTABLE = /^[ -~]*$/;

export const shown = (text: string): string => (PRINTABLE.test(text) ? text : spelled(text));

const spelled = (text: string): string =>
  text.replace(UNSEEN, (character) => (KEPT.has(character) ? character : `[U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`));
