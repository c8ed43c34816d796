import type { ComponentChildren } from 'preact';
import { LumisError, NetworkError } from '../../../sdk/index.ts';
import { Icon, type IconName } from '../../shared/icons.tsx';
import { useWords } from '../words/index.ts';
import { useFormat } from './format.ts';

/** Grey rows of the height of what is coming. */
export function Loading({ rows = 3 }: { rows?: number }) {
  const words = useWords();
  return (
    <div class="stack" aria-busy="true">
      <span class="visually-hidden">{words.app.loading}</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} class="skeleton row-skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

/** Nothing to list: what that means, and where to go. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <p class="strong">{title}</p>
      {children && <p class="muted">{children}</p>}
      {action}
    </div>
  );
}

/** Why something could not be loaded, and the way out. A lost session shows itself elsewhere. */
export function Failed({ error, onRetry }: { error: unknown; onRetry(): void }) {
  const words = useWords();
  const { span } = useFormat();
  const known = error instanceof LumisError ? error : undefined;
  if (known?.status === 401) return null;
  const isAbsent = known?.status === 404;
  let text = words.app.failedServer;
  if (isAbsent) text = words.app.notFoundBody;
  else if (known instanceof NetworkError) text = words.app.failedNetwork;
  else if (known?.code === 'rate_limited') {
    text = words.app.tooMany(span((known.retryAfterSeconds ?? 60) * 1000));
  } else if (known && known.status < 500) text = known.detail;
  return (
    <div class="empty" role="alert">
      <span class="empty-icon">
        <Icon name={known instanceof NetworkError ? 'offline' : 'exclamation-circle'} size={28} />
      </span>
      <p class="strong">{isAbsent ? words.app.notFoundTitle : words.app.failedTitle}</p>
      <p class="muted">{text}</p>
      {known?.status === 500 && known.problem && (
        <p class="muted small">{words.app.reference(known.problem.request_id)}</p>
      )}
      {!isAbsent && (
        <button type="button" class="button button-quiet" onClick={onRetry}>
          {words.app.retry}
        </button>
      )}
    </div>
  );
}

/** The button under a list that goes on. */
export function More({
  query,
}: {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): unknown };
}) {
  const words = useWords();
  if (!query.hasNextPage) return null;
  return (
    <button
      type="button"
      class="button button-quiet button-wide"
      aria-busy={query.isFetchingNextPage}
      onClick={() => {
        if (!query.isFetchingNextPage) query.fetchNextPage();
      }}
    >
      {query.isFetchingNextPage ? words.app.loading : words.app.more}
    </button>
  );
}
