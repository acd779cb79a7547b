/** Changes the text of a field under the hands of who writes in it: caret and scroll stay put. */
import { changesBetween, mapPlace } from "./places";

type Field = HTMLInputElement | HTMLTextAreaElement;

/** Return how high a text stands in a field of its own, in CSS px, lines broken as in `field`. */
const heightOf = (field: HTMLTextAreaElement, text: string): number => {
  const measure = field.cloneNode() as HTMLTextAreaElement;
  measure.removeAttribute("id");
  measure.setAttribute("aria-hidden", "true");
  measure.style.cssText = `position: absolute; visibility: hidden; flex: none; height: 0; min-height: 0; width: ${field.offsetWidth}px`;
  measure.value = text;
  field.after(measure);
  const height = measure.scrollHeight;
  measure.remove();
  return height;
};

/** Show a text in a field. What is selected stays so, and stays where it is on the screen. */
export const writeKeepingPlace = (field: Field, text: string): void => {
  const before = field.value;
  if (before === text) {
    return;
  }
  const { selectionStart, selectionEnd, selectionDirection, scrollTop } = field;
  const changes = changesBetween(before, text);
  const start = mapPlace(changes, selectionStart ?? 0);
  const end = mapPlace(changes, selectionEnd ?? 0);
  const grown =
    field instanceof HTMLTextAreaElement && scrollTop > 0
      ? heightOf(field, text.slice(0, start)) - heightOf(field, before.slice(0, selectionStart ?? 0))
      : 0;
  field.value = text;
  field.setSelectionRange(start, end, selectionDirection ?? "none");
  field.scrollTop = scrollTop + grown;
};
