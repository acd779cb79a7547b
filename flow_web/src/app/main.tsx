/** Starts the client: it speaks to the server that served it, or to VITE_FLOW_URL. */
import { ConvexProvider, ConvexReactClient } from "convex/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app";
import "./app.css";

const root = document.getElementById("root");
if (root === null) {
  throw new Error("The page has no element with the id root: serve index.html of flow_web.");
}

const url: string = import.meta.env["VITE_FLOW_URL"] ?? window.location.origin;
// Flow runs at any address, so there is no shape of address to check.
const client = new ConvexReactClient(url, { skipConvexDeploymentUrlCheck: true });

createRoot(root).render(
  <StrictMode>
    <ConvexProvider client={client}>
      <App />
    </ConvexProvider>
  </StrictMode>,
);
