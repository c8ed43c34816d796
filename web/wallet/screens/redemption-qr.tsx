import { useState } from 'react';
import { ConfirmDialog } from '../../shared/dialog.tsx';
import { groupCode } from '../../shared/format.ts';
import { Icon } from '../../shared/icons.tsx';
import { Status } from '../../shared/status.tsx';
import { useWakeLock } from '../../shared/wake-lock.ts';
import { Countdown } from '../parts/countdown.tsx';
import { useFormat } from '../parts/format.ts';
import { QrCode } from '../parts/qr-code.tsx';
import { Title } from '../parts/title.tsx';
import { useCancel } from '../state/cancel.ts';
import { useConnectionLost } from '../state/connection.ts';
import type { Redemption } from '../wire.ts';
import { useWords } from '../words/all.ts';

/** What is held out at the counter. White ground and a lit screen, whatever the theme. */
export function QrScreen({
  redemption,
  isLive,
  isSignedIn,
}: {
  redemption: Redemption;
  isLive: boolean;
  isSignedIn: boolean;
}) {
  const words = useWords();
  const isLost = useConnectionLost();
  useWakeLock(true);
  const { offer_name, merchant_name, redemption_code, qr_landing_url } = redemption;
  const name = offer_name ?? words.offers.unnamed;
  let hint = words.qr.live;
  if (isLost) hint = words.qr.offline;
  else if (!isLive && isSignedIn) hint = words.qr.waiting;
  return (
    <>
      <Title name={name}>
        {merchant_name ? <bdi>{words.qr.showAt(merchant_name)}</bdi> : words.qr.showAnywhere}
      </Title>
      {redemption_code ? (
        <div class="qr-card">
          <p class="qr-name" dir="auto">
            {name}
          </p>
          {qr_landing_url && <QrCode text={qr_landing_url} label={words.qr.image(name)} />}
          <Code code={redemption_code} />
        </div>
      ) : (
        <p class="card muted">{words.qr.noCode}</p>
      )}
      <Countdown expires_at={redemption.code_expires_at} />
      <div class="qr-hints small muted">
        <p>{words.qr.bright}</p>
        <Status>
          <p>{isSignedIn ? hint : words.signIn.endedQr}</p>
        </Status>
      </div>
      {isSignedIn && <Cancel redemption={redemption} />}
    </>
  );
}

/** The code in its groups, which never break inside, and a way to copy it. */
function Code({ code }: { code: string }) {
  const words = useWords();
  const [copied, setCopied] = useState<boolean>();
  const groups = groupCode(code).split('-');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      setCopied(true);
    } catch {
      setCopied(false);
    }
  };
  return (
    <>
      <p class="code qr-text">
        <span class="visually-hidden">{words.qr.code}: </span>
        {groups.map((group, index) => (
          <span key={index}>
            {group}
            {index < groups.length - 1 && '-'}
          </span>
        ))}
      </p>
      <button type="button" class="button qr-copy" onClick={() => void copy()}>
        <Icon name={copied ? 'tick' : 'copy'} size={18} />
        {copied ? words.qr.copied : words.qr.copy}
      </button>
      <Status isHidden={copied !== false} class="small">
        {copied && words.qr.copied}
        {copied === false && words.qr.notCopied}
      </Status>
    </>
  );
}

function Cancel({ redemption }: { redemption: Redemption }) {
  const words = useWords();
  const { points } = useFormat();
  const [isAsking, setAsking] = useState(false);
  const isLost = useConnectionLost();
  const { state, send, reset } = useCancel(redemption, () => setAsking(false));
  const isBusy = state.step === 'sending';
  // it may be done already: that is looked up by itself, here or behind
  const isUnsure = state.step === 'unsure';
  return (
    <>
      <button
        type="button"
        class="button button-plain cancel-link"
        aria-disabled={isLost}
        onClick={() => {
          if (isLost) return;
          if (!isUnsure) reset();
          setAsking(true);
        }}
      >
        {words.qr.cancel}
      </button>
      <ConfirmDialog
        isOpen={isAsking}
        title={words.cancel.title}
        confirmLabel={isBusy ? words.cancel.busy : words.cancel.yes}
        cancelLabel={isUnsure ? words.app.close : words.cancel.no}
        isBusy={isBusy}
        isDanger
        onConfirm={() => void send()}
        onCancel={() => setAsking(false)}
      >
        <p>{words.cancel.body(points(redemption.lumis_spent))}</p>
        <Status>
          {isUnsure && <p class="banner small">{words.cancel.unsure}</p>}
          {state.step === 'refused' && (
            <p class="banner banner-stop small">
              {words.cancel.failed}. {state.error.detail}
            </p>
          )}
        </Status>
      </ConfirmDialog>
    </>
  );
}
