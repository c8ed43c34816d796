import type { ComponentChildren } from 'preact';
import { useEffect } from 'react';
import { useWords } from '../words/index.ts';

/** The page's one h1, and its name in the browser. Focus goes here when the page changes. */
export function Title({
  children,
  name,
  class: className,
}: {
  children: ComponentChildren;
  /** what the tab is called, where that is not a plain text */
  name?: string;
  class?: string;
}) {
  const words = useWords();
  const title = name ?? (typeof children === 'string' ? children : words.app.title);
  useEffect(() => {
    document.title = `${title} · ${words.app.name}`;
  }, [title, words]);
  return (
    <h1 tabIndex={-1} class={className}>
      {children}
    </h1>
  );
}
