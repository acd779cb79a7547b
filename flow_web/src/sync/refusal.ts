/** Says in plain words why the server refused. */
import { ConvexError } from "convex/values";

/** Return a sentence for the user: the app's own words where it gave some. */
export const refusalText = (error: unknown): string => {
  if (error instanceof ConvexError) {
    const data: unknown = error.data;
    if (typeof data === "string" && data !== "") {
      return data;
    }
    if (typeof data === "object" && data !== null && "message" in data) {
      return String(data.message);
    }
  }
  return "The server could not do that, so nothing was changed. Please try again.";
};
