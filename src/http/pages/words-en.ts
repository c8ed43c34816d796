import type { Locale } from '../locale.ts';
import type { Words } from './words-es.ts';

/** The words of the pages in English. */
export const en = {
  tag: 'en-001', // international English: the day comes before the month, as in Panama
  otherLanguage: { locale: 'es' as Locale, name: 'Español' },
  skip: 'Skip to the content',
  front: 'Lümis, go to the front page',
  landing: {
    about: 'Lümis redemption: what it is, where it is valid and until when.',
    unnamedOffer: 'Lümis redemption',
    anyMerchant: 'Any participating merchant',
    where: { open: 'Where to use it', closed: 'Where it was valid' },
    until: { open: 'Valid until', closed: 'Was valid until', expired: 'Expired' },
    usedAt: 'Used',
    whoScans: 'Who scans it',
    whoScansText: 'Whoever serves you at the merchant, with their scanner',
    qr: 'QR code of this redemption',
    wallet: 'Open my wallet',
    privacy: 'For your safety, neither the code nor its owner is shown here.',
    verdict: {
      pending: {
        title: 'Not used yet',
        order: 'Show this QR at the merchant: they scan it, confirm it and hand it over.',
      },
      confirmed: {
        title: 'Already used',
        order: 'This QR does not work again. If it was you, enjoy!',
      },
      cancelled: { title: 'Cancelled', order: 'This QR no longer works.' },
      reversed: {
        title: 'Reversed',
        order: 'It had been used and was then reversed. This QR no longer works.',
      },
      expired: {
        title: 'Expired',
        order: 'This QR no longer works. If the offer is still there, you can redeem it again.',
      },
      unknown: {
        title: 'This link is not a redemption',
        order: 'Check that it is complete, or scan the QR again.',
      },
    },
    staff: {
      title: 'Do you work at the merchant?',
      scanner: 'Open the scanner',
      open: {
        order: 'Do not hand anything over because of this page.',
        rest: 'Scan the QR with your scanner and confirm the redemption.',
      },
      closed: { order: 'Do not hand it over.', rest: 'This link no longer counts.' },
      unknown: { order: 'Do not hand it over.', rest: 'This link does not count.' },
    },
  },
  fault: {
    about: 'Lümis could not show what you were looking for.',
    retry: 'Try again',
    front: 'Go to the front page',
    reference: 'Reference for support:',
    kinds: {
      not_found: { title: 'This page does not exist', order: 'Check the address.' },
      unreadable: {
        title: 'We could not read this address',
        order: 'Check that it is complete, or scan the QR again.',
      },
      rate_limited: {
        title: 'Too many tries',
        order: 'Wait {n} s and try again. No redemption has changed.',
      },
      overloaded: {
        title: 'We cannot answer right now',
        order: 'Wait {n} s and try again. Opening this page changes no redemption.',
      },
      internal: {
        title: 'Something went wrong on our side',
        order: 'Wait {n} s and try again. Opening this page changes no redemption.',
      },
    },
  },
  home: {
    title: 'Lümis are redeemed here',
    lead: 'Lümis is a redemption system for loyalty points. Every point that moves is on record.',
    stepsTitle: 'How it works',
    steps: [
      'A member picks an offer and pays for it with points.',
      'They get a QR code that is good for one use.',
      'The merchant scans it, confirms it and hands it over.',
    ],
    demo: {
      title: 'Demonstration',
      text:
        'The data is made up. The terminal where this was started shows how to sign in ' +
        'and a walk to try it.',
      apps:
        'Open the wallet and choose a demo member; open the scanner and connect it with ' +
        'Café Test. To use real phones, start with:',
    },
    certificate: {
      title: 'Does your phone warn that the connection is not private?',
      text:
        "It does not know this computer's certificate. You can go on, or install its authority " +
        'so that the warning is gone. Remove it when you have finished trying.',
      link: 'Download the certificate',
    },
    whereTitle: 'Where to go',
    audiences: {
      member: {
        title: 'I have points',
        text:
          "Redeem them in your points programme's app. If you have a QR, scan it with your " +
          'camera: you will see what it is and until when it is valid.',
      },
      merchant: {
        title: 'I work at a merchant',
        text:
          "Validate and confirm redemptions from your till, connected with your merchant's key. " +
          'Whoever runs the programme hands it out.',
      },
      admin: {
        title: 'I run the programme',
        text:
          'Offers, merchants, keys and support are managed through the API with an ' +
          'administration token, or with the lumis command on the server.',
      },
      integrator: {
        title: 'I connect another system',
        text: 'Everything is done through one HTTP API, described and ready to try.',
      },
      operator: {
        title: 'I look after the server',
        text: 'To watch that everything is up.',
      },
    },
    withApps: {
      member: 'The wallet holds your balance, the offers and the QR of each redemption.',
      merchant:
        "The scanner scans and confirms redemptions with a phone's camera. Whoever runs the " +
        'programme gives you the QR that connects it with your merchant.',
    },
    links: {
      wallet: 'Open the wallet',
      scanner: 'Open the scanner',
      docs: 'API documentation',
      openapi: 'OpenAPI schema',
      healthz: 'Is it on?',
      readyz: 'Can it serve?',
      metrics: 'Metrics',
    },
    version: 'version',
  },
} satisfies Words;
