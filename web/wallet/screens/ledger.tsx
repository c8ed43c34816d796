import { useEffect, useRef } from 'react';
import { Link, useSearch } from 'wouter';
import { useFormat } from '../parts/format.ts';
import { Empty, Failed, Loading, More } from '../parts/states.tsx';
import { Title } from '../parts/title.tsx';
import { useLedger, useRedemptions } from '../state/queries.ts';
import type { LedgerEntry } from '../wire.ts';
import { useWords, type Words } from '../words/all.ts';

/** Every entry of the ledger, in words. */
export function Ledger() {
  const words = useWords();
  const query = useLedger();
  const marked = new URLSearchParams(useSearch()).get('redemption');
  const entries = query.data?.pages.flatMap((page) => page.data);
  const names = useNames(entries);
  return (
    <div class="stack">
      <Title>{words.ledger.title}</Title>
      <p class="muted">{words.ledger.lead}</p>
      {!entries && !query.error && <Loading rows={5} />}
      {!entries && query.error && (
        <Failed error={query.error} onRetry={() => void query.refetch()} />
      )}
      {entries?.length === 0 && (
        <Empty icon="list" title={words.ledger.none}>
          {words.ledger.noneBody}
        </Empty>
      )}
      {entries && entries.length > 0 && (
        <ul class="rows">
          {entries.map((entry) => (
            <Entry
              key={entry.id}
              entry={entry}
              offer={entry.redemption_id ? names.get(entry.redemption_id) : undefined}
              isMarked={marked !== null && entry.redemption_id === marked}
            />
          ))}
        </ul>
      )}
      <More query={query} />
    </div>
  );
}

/** What was redeemed, for the entries that are shown: as many pages as it takes. */
function useNames(entries: LedgerEntry[] | undefined): Map<string, string> {
  const ids = (entries ?? []).flatMap(({ redemption_id: id }) => id ?? []);
  const query = useRedemptions(undefined, ids.length > 0);
  const { data, hasNextPage, isFetching, isError, fetchNextPage } = query;
  const names = new Map(
    (data?.pages.flatMap((page) => page.data) ?? []).map((one) => [
      one.redemption_id,
      one.offer_name ?? '',
    ]),
  );
  const isShort = hasNextPage && !isFetching && !isError && ids.some((id) => !names.has(id));
  useEffect(() => {
    if (isShort) void fetchNextPage();
  }, [isShort, fetchNextPage]);
  return names;
}

function Entry({
  entry,
  offer,
  isMarked,
}: {
  entry: LedgerEntry;
  offer: string | undefined;
  isMarked: boolean;
}) {
  const words = useWords();
  const { change, dateTime } = useFormat();
  const ref = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isMarked) ref.current?.scrollIntoView({ block: 'center' });
  }, [isMarked]);
  const { redemption_id, quantity, date } = entry;
  const moves = entry.dtype === null || entry.dtype === 'points';
  const { title, note } = tell(entry, offer, words);
  return (
    <li ref={ref} class="ledger-row" data-marked={isMarked ? '' : undefined}>
      <div>
        {redemption_id ? (
          <Link href={`/redemptions/${redemption_id}`} class="row-link" dir="auto">
            {title}
          </Link>
        ) : (
          <p class="strong" dir="auto">
            {title}
          </p>
        )}
        {note && (
          <p class="small" dir="auto">
            {note}
          </p>
        )}
        <p class="muted small">{date ? dateTime(date) : words.ledger.noDate}</p>
      </div>
      {moves && (
        <p class="strong amount" data-up={quantity > 0 ? '' : undefined}>
          {change(quantity)}
        </p>
      )}
    </li>
  );
}

/** An entry as a sentence, and the reason that somebody gave with it. */
function tell(
  { kind, quantity, accum_key, dtype }: LedgerEntry,
  offer: string | undefined,
  { ledger }: Words,
): { title: string; note?: string | undefined } {
  const note = accum_key ?? undefined;
  if (dtype !== null && dtype !== 'points') {
    return { title: ledger.other, note: ledger.otherBody(dtype) };
  }
  switch (kind) {
    case 'spend':
      return { title: offer ? ledger.spend(offer) : ledger.spendPlain };
    case 'refund':
      return { title: offer ? ledger.refund(offer) : ledger.refundPlain };
    case 'grant':
      return { title: ledger.grant, note };
    case 'opening':
      return { title: ledger.opening };
    case 'adjustment':
      return { title: quantity > 0 ? ledger.adjustmentUp : ledger.adjustmentDown, note };
    default:
      // what another system booked; its key may be a word or an id of its own
      return { title: quantity >= 0 ? ledger.earned : ledger.taken, note };
  }
}
