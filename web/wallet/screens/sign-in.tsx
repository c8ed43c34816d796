import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { Icon } from '../../shared/icons.tsx';
import { Logo } from '../../shared/logo.tsx';
import { Status } from '../../shared/status.tsx';
import { LanguageSwitch } from '../../shared/switches.tsx';
import { useFormat } from '../parts/format.ts';
import { Failed, Loading } from '../parts/states.tsx';
import { Title } from '../parts/title.tsx';
import { client, heard } from '../state/client.ts';
import { useConnectionLost } from '../state/connection.ts';
import { welcome } from '../state/hand-over.ts';
import { unansweredIntents } from '../state/intents.ts';
import { keptRedemptions } from '../state/kept.ts';
import { useConfig } from '../state/queries.ts';
import { useSession } from '../state/session.ts';
import { readToken } from '../state/token.ts';
import { useWords } from '../words/all.ts';

/** For who is not signed in, or no longer: what to do, and what is not lost. */
export function SignIn() {
  const words = useWords();
  const config = useConfig();
  const { session, notice } = useSession();
  const isLost = useConnectionLost();
  const isEnded = session !== undefined && notice === undefined;
  let title = words.app.title;
  let body = words.signIn.lead;
  if (notice === 'expired') [title, body] = [words.signIn.expiredTitle, words.signIn.expiredBody];
  else if (notice === 'invalid') {
    [title, body] = [words.signIn.invalidTitle, words.signIn.invalidBody];
  } else if (isEnded) {
    title = words.signIn.endedTitle;
    body = config?.demo ? words.signIn.endedDemo : words.signIn.endedBody;
  }
  const isEmbedded = window.parent !== window;
  return (
    <main class="page sign-in stack" id="main">
      <div class="glow sign-in-head">
        <Logo size={64} />
        <Title>{title}</Title>
        <p class="large">{body}</p>
      </div>
      {session && <Kept user_id={session.user_id} />}
      {isLost && (
        <p class="banner" role="status">
          <Icon name="offline" />
          <span>{words.app.failedNetwork}</span>
        </p>
      )}
      {config?.demo && <DemoMembers />}
      {config && !config.demo && !isEnded && !notice && (
        <p class="muted" role="status">
          {isEmbedded ? words.signIn.waiting : words.signIn.fromApp}
        </p>
      )}
      <footer class="sign-in-foot">
        <LanguageSwitch />
      </footer>
    </main>
  );
}

/** What waits for a member whose session ended: their code, and a wish that was under way. */
function Kept({ user_id }: { user_id: string }) {
  const words = useWords();
  const usable = keptRedemptions(user_id);
  return (
    <>
      {unansweredIntents().length > 0 && (
        <p class="banner">
          <Icon name="exclamation-circle" />
          <span>{words.signIn.endedRedeeming}</span>
        </p>
      )}
      {usable.length > 0 && (
        <section class="card stack">
          <p>{words.signIn.endedQr}</p>
          {usable.map(({ redemption_id, offer_name }) => (
            <Link
              key={redemption_id}
              href={`/redemptions/${redemption_id}`}
              class="button button-ink"
            >
              <Icon name="qr" size={20} />
              <bdi>{words.active.show(offer_name ?? words.offers.unnamed)}</bdi>
            </Link>
          ))}
        </section>
      )}
    </>
  );
}

function DemoMembers() {
  const words = useWords();
  const { points } = useFormat();
  const [entering, setEntering] = useState<number>();
  const [failure, setFailure] = useState<unknown>();
  const { data, error, refetch } = useQuery({
    queryKey: ['demo'],
    queryFn: () => heard(() => client.demo.members()),
  });
  const enter = async (user_id: number, name: string | null) => {
    if (entering !== undefined) return;
    setEntering(user_id);
    setFailure(undefined);
    try {
      const { token } = await heard(() => client.demo.signIn({ user_id }));
      const claims = readToken(token);
      if (claims) welcome(token, claims, name ?? undefined);
    } catch (cause) {
      setFailure(cause);
    }
    setEntering(undefined);
  };
  if (!data) return error ? <Failed error={error} onRetry={() => void refetch()} /> : <Loading />;
  return (
    <section class="stack" aria-labelledby="demo">
      <div>
        <h2 id="demo">{words.signIn.demoTitle}</h2>
        <p class="muted small">{words.signIn.demoLead}</p>
      </div>
      <ul class="stack members">
        {data.data.map(({ user_id, display_name, balance }) => {
          const name = display_name ?? words.notice.member(String(user_id));
          return (
            <li key={user_id}>
              <button
                type="button"
                class="card member"
                aria-busy={entering === user_id}
                onClick={() => void enter(user_id, display_name)}
              >
                <span class="initial" aria-hidden="true">
                  {name.slice(0, 1)}
                </span>
                <span class="member-text">
                  <span class="strong">
                    <span class="visually-hidden">{words.signIn.demoEnter} </span>
                    <bdi>{name}</bdi>
                  </span>
                  <span class="muted small number">
                    {entering === user_id ? words.signIn.entering : points(balance)}
                  </span>
                </span>
                <Icon name="next" size={20} />
              </button>
            </li>
          );
        })}
      </ul>
      <Status>
        {failure !== undefined && <Failed error={failure} onRetry={() => setFailure(undefined)} />}
      </Status>
    </section>
  );
}
