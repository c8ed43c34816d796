import { useEffect, useRef } from 'react';
import { useNow } from '../../shared/clock.ts';
import { Status } from '../../shared/status.tsx';
import { useWords } from '../words/all.ts';
import { isNever, useFormat } from './format.ts';

const MINUTE = 60_000;
const DAYS_2 = 48 * 60 * MINUTE;

/** How often the time left must be looked at so that what is shown is true. */
export function tickFor(left: number): number {
  // a little early, so that "60 s" does not first appear at 55
  return left < 2 * MINUTE ? 250 : 5000;
}

/**
 * How long the code is still good, by the server's clock: by the minute, by the second in the last
 * one. Aloud only at five minutes, at one, and at the end, which the screen itself says.
 */
export function Countdown({ expires_at }: { expires_at: string }) {
  const words = useWords();
  const { span, soon, day, time } = useFormat();
  const end = new Date(expires_at).getTime();
  const coarse = useNow(5000);
  const now = useNow(isNever(expires_at) ? 0 : tickFor(end - coarse));
  const left = end - now;
  const spoken = useSpoken(left);
  if (isNever(expires_at)) return <p class="strong">{words.active.noEnd}</p>;
  return (
    <div class="countdown" role="timer" data-soon={left < 5 * MINUTE ? '' : undefined}>
      <p class="strong number">
        {left > DAYS_2 ? words.qr.endsOn(day(expires_at)) : words.active.endsIn(span(left))}
      </p>
      <p class="muted number">{left > DAYS_2 ? time(expires_at) : soon(expires_at, now)}</p>
      <Status isHidden>{spoken && words.qr[spoken]}</Status>
    </div>
  );
}

/** What is to be said now; nothing when the screen was opened after that moment. */
function useSpoken(left: number): 'spoken5' | 'spoken1' | undefined {
  const first = useRef(left);
  const said = useRef<'spoken5' | 'spoken1' | undefined>(undefined);
  useEffect(() => {
    if (left > first.current) first.current = left;
  }, [left]);
  if (left <= MINUTE && first.current > MINUTE) said.current = 'spoken1';
  else if (left <= 5 * MINUTE && left > MINUTE && first.current > 5 * MINUTE) {
    said.current = 'spoken5';
  }
  return said.current;
}
