import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { ConfirmDialog } from '../../shared/dialog.tsx';
import { Icon } from '../../shared/icons.tsx';
import { LanguageSwitch, ThemeSwitch } from '../../shared/switches.tsx';
import { useFormat } from '../parts/format.ts';
import { Title } from '../parts/title.tsx';
import { canInstall, install, onInstall } from '../state/install.ts';
import { useConfig } from '../state/queries.ts';
import { signOut, useSession } from '../state/session.ts';
import { useWords } from '../words/all.ts';

/** Who is signed in, how it looks, what is kept, and the way out. */
export function Settings() {
  const words = useWords();
  const { session } = useSession();
  const config = useConfig();
  const { zone } = useFormat();
  const [isLeaving, setLeaving] = useState(false);
  const [, navigate] = useLocation();
  return (
    <div class="stack settings">
      <Title>{words.settings.title}</Title>
      <section class="card stack" aria-labelledby="account">
        <h2 id="account">{words.settings.account}</h2>
        <p>
          <span class="muted">{words.settings.signedInAs}</span>{' '}
          <strong>
            <bdi>{session?.name ?? words.notice.member(session?.user_id ?? '')}</bdi>
          </strong>
        </p>
        <button type="button" class="button button-quiet" onClick={() => setLeaving(true)}>
          <Icon name="out" size={20} />
          {words.settings.signOut}
        </button>
      </section>
      <section class="card stack" aria-labelledby="look">
        <h2 id="look">{words.settings.look}</h2>
        <LanguageSwitch />
        <ThemeSwitch />
      </section>
      <Install />
      <section class="card stack" aria-labelledby="kept">
        <h2 id="kept">{words.settings.stored}</h2>
        <p>{words.settings.storedBody}</p>
        <p class="muted small">
          {words.settings.zone(zone)}
          {config && ` · ${words.settings.version(config.version)}`}
        </p>
      </section>
      <ConfirmDialog
        isOpen={isLeaving}
        title={words.settings.signOutTitle}
        confirmLabel={words.settings.signOutYes}
        cancelLabel={words.settings.signOutNo}
        onConfirm={() => {
          navigate('/'); // whoever comes next begins at the beginning
          signOut();
        }}
        onCancel={() => setLeaving(false)}
      >
        <p>{words.settings.signOutBody}</p>
      </ConfirmDialog>
    </div>
  );
}

function Install() {
  const words = useWords();
  const [isReady, setReady] = useState(canInstall);
  useEffect(() => onInstall(() => setReady(canInstall())), []);
  const isInstalled = matchMedia('(display-mode: standalone)').matches;
  return (
    <section class="card stack" aria-labelledby="install">
      <h2 id="install">{words.settings.install}</h2>
      <p>{isInstalled ? words.settings.installed : words.settings.installBody}</p>
      {isReady && !isInstalled && (
        <button type="button" class="button button-primary" onClick={() => void install()}>
          {words.settings.installButton}
        </button>
      )}
    </section>
  );
}
