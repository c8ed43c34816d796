import '../shared/theme.css';
import './scanner.css';
import './camera.css';
import './verdict.css';
import { render } from 'preact';
import { registerServiceWorker } from '../shared/pwa.ts';
import { App } from './app.tsx';
import { loadWords } from './words.ts';

const root = document.getElementById('app');
const draw = () => {
  if (!root) return;
  root.replaceChildren(); // what stood there for the first paint
  render(<App />, root);
};
void loadWords().then(draw);
registerServiceWorker('/scan/');
