import { Component, type ComponentChildren } from 'preact';

export interface BoundaryProps {
  /** what is shown in place of a part that broke */
  fallback: ComponentChildren;
  children?: ComponentChildren;
}

/** Keeps a fault in one part from emptying the page. */
export class Boundary extends Component<BoundaryProps, { isBroken: boolean }> {
  override state = { isBroken: false };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ isBroken: true });
  }

  override render() {
    return this.state.isBroken ? this.props.fallback : this.props.children;
  }
}
