/** Every screen but the first: one file, fetched when the first one stands, kept for offline use. */
export { FilterSheet } from './filter-sheet.tsx';
export { History } from './history.tsx';
export { Ledger } from './ledger.tsx';
export { RedeemSheet } from './redeem-sheet.tsx';
export { RedemptionScreen } from './redemption.tsx';
export { Settings } from './settings.tsx';
export { SignIn } from './sign-in.tsx';
