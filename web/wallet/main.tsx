import { createRoot } from 'react-dom/client';
import '../shared/theme.css';
import './wallet.css';
import { registerServiceWorker } from '../shared/pwa.ts';
import { App } from './app.tsx';
import { loadScreens } from './parts/later.tsx';
import { listenForTokens } from './state/hand-over.ts';
import { currentToken } from './state/session.ts';

// before anything is asked or drawn: a token must not stay in the address
listenForTokens();
const draw = () => createRoot(document.getElementById('app') as HTMLElement).render(<App />);
// who is not signed in sees one of the later screens first; what stands there meanwhile looks the same
if (currentToken()) draw();
else loadScreens().then(draw, draw);
registerServiceWorker('/wallet/');
