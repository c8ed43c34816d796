import { sentence } from '../shared/format.ts';
import type { Place, Sayings } from './verdict-words.ts';
import type { Screens } from './words-es.ts';

const STOP = 'Don’t hand it over.';
const NOT_YET = 'Don’t hand it over yet.';
const KEPT = 'We kept it to retry.';
const UNKNOWN = 'We don’t know this code';
const nameOf = ({ offer_name }: { offer_name: string | null }) => offer_name ?? screens.unnamed;
const at = (iso: string, { isToday, time, dateTime }: Place) =>
  isToday(iso) ? `today, ${time(iso)}` : dateTime(iso);
const inBranch = (name: string | undefined) => (name ? ` at ${name}` : '');

/** The counter's screens in English. */
export const screens: Screens = {
  app: 'Lümis Counter',
  skip: 'Skip to typing the code',
  failed: 'Something failed on our side. Try again.',
  start: 'Start shift',
  start_what: 'This turns on the camera, plays a test sound and keeps the screen awake.',
  offline_title: 'If you lose the connection',
  offline_can: 'Codes can be read: they are kept to retry.',
  offline_cannot: 'They can’t be checked or confirmed. Hand nothing over until you confirm.',
  today: 'Today',
  today_count: (count: string, isOne: boolean) =>
    `${count} ${isOne ? 'redemption' : 'redemptions'}`,
  today_title: 'Redeemed today',
  today_none: 'No redemptions yet today.',
  today_until: (time: string) => `Until ${time}`,
  today_more: 'Show more',
  today_failed: 'The list could not be loaded.',
  reversed: 'Reversed',
  ends_in: (ending: string) => `…${ending}`,
  no_device: 'No device',
  unnamed: 'Unnamed offer',
  confirm: 'Confirm',
  confirming: 'Confirming…',
  cancel: 'Cancel',
  next: 'Next',
  again: 'Scan again',
  type: 'Type',
  later: 'Leave it pending',
  see_pending: 'Pending',
  close: 'Close',
  retry: 'Retry',
  not_loaded: 'The page did not load whole. Check the connection.',
  camera: 'Camera',
  camera_starting: 'Turning on the camera…',
  camera_denied: 'Camera is blocked',
  camera_denied_how: 'Allow it in site permissions or type the code.',
  camera_denied_show: 'Show me how',
  camera_denied_steps: [
    'Tap the padlock or icon beside the address.',
    'Open Permissions and allow the camera.',
    'Come back and tap Retry.',
  ],
  camera_missing: 'We found no camera',
  camera_missing_how: 'Type the code or use a hand scanner.',
  camera_busy: 'Another app is using the camera',
  camera_busy_how: 'Close it and retry, or type the code.',
  camera_insecure: 'The camera needs a secure address',
  camera_insecure_how: 'Open this page with https, or type the code.',
  camera_asleep: 'The camera stopped',
  camera_asleep_do: 'Tap to wake it',
  camera_unreadable: 'The QR reader did not load',
  camera_unreadable_how: 'Reload the page while online, or type the code.',
  aim: 'Aim at the customer’s QR',
  lens: 'Not reading? Move closer, wipe the lens or switch camera.',
  torch: 'Torch',
  next_lens: 'Switch camera',
  zoom: 'Zoom in',
  manual: 'Type the code',
  manual_do: 'Check',
  checking: 'Checking…',
  slow: 'Taking longer than usual. Still trying; keep this open.',
  manual_empty: 'Type the code that is under the QR.',
  manual_short: (count: number) => `Check the code: it has ${count} of 16 symbols.`,
  manual_wrong: 'Check the code: some symbol is wrong.',
  manual_url: 'That address is not a redemption.',
  manual_other: 'A code has letters and digits only: LUMS-XXXX-XXXX-XXXX-XXXX.',
  manual_pairing: 'That is a pairing code, not a redemption.',
  offline_now: 'Offline: codes are read, not checked.',
  not_kept: 'This browser keeps no data: don’t close this page during the shift.',
  update: 'There is a new version.',
  update_do: 'Update',
  tray: (count: number) => (count === 1 ? '1 code not checked' : `${count} codes not checked`),
  unanswered: (count: number) =>
    count === 1 ? '1 confirmation to look up' : `${count} confirmations to look up`,
  see: 'See',
  check: 'Check now',
  settings: 'Settings',
  wait: (seconds: number) => `Too many tries. Wait ${seconds} s.`,
};

/** What a verdict says in English. */
export const verdicts: Sayings = {
  valid: ({ redemption, notice, wait_until = 0 }, { points, span, left }) => ({
    title: 'Valid',
    offer: nameOf(redemption),
    order: left(wait_until) ? screens.wait(left(wait_until)) : 'Confirm to hand it over.',
    body: notice
      ? 'Offline: not confirmed yet. Don’t hand it over.'
      : `${points(redemption.lumis_spent)}. Ends in ${span(redemption.code_expires_at)}.`,
  }),
  confirming: ({ redemption, is_slow }) => ({
    title: 'Valid',
    offer: nameOf(redemption),
    order: screens.confirming,
    body: is_slow ? screens.slow : 'Don’t hand it over yet.',
  }),
  confirmed: ({ redemption }, { points, time }) => ({
    title: 'Confirmed',
    order: 'Hand over',
    offer: nameOf(redemption),
    body: `${points(redemption.lumis_spent)}, ${time(redemption.validated_at)}`,
  }),
  unsure: ({ pending, is_checking }) => ({
    title: 'We can’t tell if it went through',
    order: 'Wait: don’t hand it over yet.',
    offer: nameOf(pending),
    body: is_checking ? 'Looking it up…' : 'Looking it up never confirms twice.',
  }),
  used: ({ redeemed_at, redeemed_branch }, place) => ({
    title: 'Already used',
    order: STOP,
    body: redeemed_at && sentence(`Redeemed ${at(redeemed_at, place)}${inBranch(redeemed_branch)}`),
  }),
  used_here: ({ seconds }, { ago }) => ({
    title: `You confirmed this ${ago(seconds)} ago`,
    order: 'Don’t hand it over again.',
    body: 'No need to confirm it again.',
  }),
  expired: ({ expired_at }, place) => ({
    title: 'Code expired',
    order: STOP,
    body: `${expired_at ? `Ended ${at(expired_at, place)}; the` : 'The'} customer can get a new one.`,
  }),
  cancelled: () => ({ title: 'This redemption was cancelled', order: STOP }),
  reversed: () => ({
    title: 'This redemption was reversed',
    order: STOP,
    body: 'The Lümis went back to the customer.',
  }),
  wrong_branch: () => ({ title: 'For another branch', order: STOP }),
  unknown: () => ({
    title: UNKNOWN,
    order: STOP,
    body: 'It may be another merchant’s: check it and try again.',
  }),
  not_ours: () => ({ title: UNKNOWN, order: STOP, body: 'It is not a Lümis redemption.' }),
  for_pairing: () => ({
    title: 'Not a redemption',
    order: STOP,
    body: 'This QR is for pairing a phone.',
  }),
  offline: () => ({ title: 'Offline: not checked', order: NOT_YET, body: KEPT }),
  no_answer: () => ({
    title: 'No answer: not checked',
    order: NOT_YET,
    body: `The server did not answer. ${KEPT}`,
  }),
  server: () => ({
    title: 'It could not be checked',
    order: NOT_YET,
    body: `Something failed on our side. ${KEPT}`,
  }),
  too_many: ({ wait_until }, { left }) => ({
    title: 'Too many tries',
    order: left(wait_until) ? `Wait ${left(wait_until)} s.` : 'You can retry now.',
    body: 'It was not checked: don’t hand it over yet.',
  }),
};
