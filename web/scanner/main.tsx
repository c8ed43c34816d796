import '../shared/theme.css';
import './scanner.css';
import './camera.css';
import './verdict.css';
import { render } from 'preact';
import { registerServiceWorker } from '../shared/pwa.ts';
import { App, loadFirst } from './app.tsx';

const root = document.getElementById('app');
const draw = () => {
  if (!root) return;
  root.replaceChildren(); // what stood there for the first paint
  render(<App />, root);
};
void loadFirst().then(draw);
registerServiceWorker('/scan/');
