/** Keeps a failed part of the page from taking the rest with it. */
import { Component } from "react";
import type { ReactNode } from "react";

type ErrorBoundaryProps = {
  /** What to show instead; `retry` renders the part again. */
  fallback: (error: unknown, retry: () => void) => ReactNode;
  children: ReactNode;
};

type ErrorBoundaryState = { failed: false } | { failed: true; error: unknown };

export class ErrorBoundary extends Component<ErrorBoundaryProps, ErrorBoundaryState> {
  override state: ErrorBoundaryState = { failed: false };

  static getDerivedStateFromError(error: unknown): ErrorBoundaryState {
    return { failed: true, error };
  }

  readonly retry = (): void => this.setState({ failed: false });

  override render(): ReactNode {
    return this.state.failed
      ? this.props.fallback(this.state.error, this.retry)
      : this.props.children;
  }
}
