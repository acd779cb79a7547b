/** Remembers which cards others have just changed, or somebody came for, so that each can show it for a moment. */
import type { Task, TaskId } from "../../sync/api";
import { isProvisional } from "../../sync/optimistic";

const SHOWN_MS = 1_200;
// The server's state may be rendered a little after the mutation's promise is settled.
const SETTLE_MS = 1_000;

/** What names a card of mine before it has an id from the server. */
export const addKey = (column: string, title: string): string => `${column}\n${title}`;

/**
 * Tells the changes of others from mine, by what I have on its way.
 *
 * Owns: the keys of my pending changes, the ids that are marked now, and who listens.
 */
export class ChangedCards {
  readonly #mine = new Map<string, number>();
  readonly #marked = new Map<TaskId, ReturnType<typeof setTimeout>>();
  readonly #listeners = new Set<() => void>();

  /** Call a change mine until shortly after `done` is settled. */
  claim(key: string, done: Promise<unknown>): void {
    this.#mine.set(key, (this.#mine.get(key) ?? 0) + 1);
    const release = () => {
      const left = (this.#mine.get(key) ?? 1) - 1;
      if (left === 0) {
        this.#mine.delete(key);
      } else {
        this.#mine.set(key, left);
      }
    };
    const later = () => setTimeout(release, SETTLE_MS);
    done.then(later, later);
  }

  /** Mark what others did between two states. Returns: how many cards they touched. */
  notice(before: readonly Task[], after: readonly Task[]): number {
    const old = new Map(before.map((task) => [task._id, task]));
    const foreign = after.filter((task) => old.get(task._id) !== task && !this.#isMine(task));
    for (const task of foreign) {
      this.#mark(task._id);
    }
    if (foreign.length > 0) {
      this.#tell();
    }
    return foreign.length;
  }

  /** Mark a card for which somebody came. */
  point(task: TaskId): void {
    this.#mark(task);
    this.#tell();
  }

  readonly isMarked = (task: TaskId): boolean => this.#marked.has(task);

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #isMine(task: Task): boolean {
    return (
      isProvisional(task) ||
      this.#mine.has(task._id) ||
      this.#mine.has(addKey(task.column, task.title))
    );
  }

  #mark(task: TaskId): void {
    clearTimeout(this.#marked.get(task));
    const timer = setTimeout(() => {
      this.#marked.delete(task);
      this.#tell();
    }, SHOWN_MS);
    this.#marked.set(task, timer);
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      listener();
    }
  }
}
