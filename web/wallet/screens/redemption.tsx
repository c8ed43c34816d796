import { useEffect, useRef, useState } from 'react';
import { useNow } from '../../shared/clock.ts';
import { Status } from '../../shared/status.tsx';
import { tickFor } from '../parts/countdown.tsx';
import { isNever } from '../parts/format.ts';
import { Failed, Loading } from '../parts/states.tsx';
import { Title } from '../parts/title.tsx';
import { useLive } from '../state/live.ts';
import { useRedemption } from '../state/queries.ts';
import { useSession } from '../state/session.ts';
import { useWords } from '../words/all.ts';
import { Ended } from './redemption-ended.tsx';
import { QrScreen } from './redemption-qr.tsx';

/** One redemption: its QR while it can be used, and what became of it afterwards. */
export function RedemptionScreen({ redemption_id }: { redemption_id: string }) {
  const words = useWords();
  const { session } = useSession();
  const [isLive, setLive] = useState(true);
  const query = useRedemption(redemption_id, isLive);
  const redemption = query.data;
  const status = redemption?.redemption_status;
  const isPending = redemption?.redemption_status === 'pending';
  const end = redemption ? new Date(redemption.code_expires_at).getTime() : 0;
  const coarse = useNow(5000);
  const isTimed = isPending && !isNever(redemption.code_expires_at);
  const now = useNow(isTimed ? tickFor(end - coarse) : 0);
  const isOpen = isPending && (!isTimed || end > now);
  const isSignedIn = session?.token !== undefined;
  // a confirmation can be taken back
  const canChange = isPending || (redemption?.source === 'lumis' && status === 'confirmed');
  useLive(redemption_id, canChange && isSignedIn, setLive);

  // the server has the last word on whether a code has ended
  const { refetch } = query;
  const hasEnded = isPending && !isOpen;
  useEffect(() => {
    if (hasEnded) void refetch();
  }, [hasEnded, refetch]);

  useKeepFocus(isOpen ? 'open' : status);
  if (!redemption) {
    return (
      <>
        <Title class="visually-hidden">{words.history.title}</Title>
        {query.error ? (
          <Failed error={query.error} onRetry={() => void refetch()} />
        ) : (
          <Loading rows={2} />
        )}
      </>
    );
  }
  return (
    <div class="stack redemption">
      <Status isHidden>
        {status === 'confirmed' && words.ended.confirmed}
        {hasEnded && words.ended.expired}
      </Status>
      {isOpen ? (
        <QrScreen redemption={redemption} isLive={isLive} isSignedIn={isSignedIn} />
      ) : (
        <Ended redemption={redemption} />
      )}
    </div>
  );
}

/** When what had the focus goes with the QR, the focus goes to the title of what came. */
function useKeepFocus(status: string | undefined): void {
  const before = useRef(status);
  useEffect(() => {
    if (before.current !== undefined && before.current !== status) {
      const isLost = !document.activeElement || document.activeElement === document.body;
      if (isLost) document.querySelector<HTMLElement>('main h1')?.focus();
    }
    before.current = status;
  }, [status]);
}
