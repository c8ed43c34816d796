import type { ComponentChildren } from 'preact';

export interface StatusProps {
  children?: ComponentChildren;
  /** only heard, because something else on the page shows it */
  isHidden?: boolean;
  class?: string;
}

/**
 * What a screen reader says when it changes. Keep it on the page and change what is in it: a live
 * region that arrives together with its text stays silent.
 */
export function Status({ children, isHidden = false, class: className }: StatusProps) {
  const classes = [isHidden && 'visually-hidden', className].filter(Boolean).join(' ');
  return (
    <div role="status" class={classes || undefined}>
      {children}
    </div>
  );
}
