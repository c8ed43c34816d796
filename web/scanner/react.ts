/**
 * What stands for React in this app: Preact's hooks, and the one that Preact keeps in its larger
 * compatibility layer, which the scanner has no other use for.
 */
import { useEffect, useRef, useState } from 'preact/hooks';

export * from 'preact/hooks';

/** React's hook of that name: `subscribe` must be the same function from one draw to the next. */
export function useSyncExternalStore<T>(
  subscribe: (listener: () => void) => () => void,
  snapshot: () => T,
): T {
  const value = snapshot();
  const [, draw] = useState<object>();
  const latest = useRef({ value, snapshot });
  latest.current = { value, snapshot };
  useEffect(() => {
    const look = () => {
      const { current } = latest;
      if (!Object.is(current.snapshot(), current.value)) draw({});
    };
    look(); // it may have changed between the draw and now
    return subscribe(look);
  }, [subscribe]);
  return value;
}
