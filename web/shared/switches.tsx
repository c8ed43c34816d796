import { useId } from 'react';
import type { Locale } from './format.ts';
import { setTheme, type Theme, useTheme } from './theme.ts';
import { createWords, setLocale, useLocale } from './words.ts';

const { useWords } = createWords({
  es: { language: 'Idioma', theme: 'Tema', system: 'Del sistema', light: 'Claro', dark: 'Oscuro' },
  en: { language: 'Language', theme: 'Theme', system: 'System', light: 'Light', dark: 'Dark' },
});

/** Each language in itself: whoever cannot read the page finds theirs. */
const LANGUAGES = [
  { value: 'es', label: 'Español', lang: 'es' },
  { value: 'en', label: 'English', lang: 'en' },
] as const;

/** Español | English, as radio buttons. */
export function LanguageSwitch() {
  const words = useWords();
  const locale = useLocale();
  return (
    <Choice<Locale>
      label={words.language}
      value={locale}
      options={LANGUAGES}
      onChange={(next) => setLocale(next)}
    />
  );
}

/** System, light or dark, as radio buttons. */
export function ThemeSwitch() {
  const words = useWords();
  const theme = useTheme();
  const options = (['system', 'light', 'dark'] as const).map((value) => ({
    value,
    label: words[value],
  }));
  return (
    <Choice<Theme>
      label={words.theme}
      value={theme}
      options={options}
      onChange={(next) => setTheme(next)}
    />
  );
}

export interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; label: string; lang?: string }[];
  onChange(value: T): void;
  /** the label is for those who hear the page; something else shows it */
  isLabelHidden?: boolean;
}

/** One of a few, side by side: native radio buttons, so that arrow keys and names just work. */
export function Choice<T extends string>(props: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class={props.isLabelHidden ? 'visually-hidden' : undefined}>{props.label}</legend>
      <div class="choice-options">
        {props.options.map(({ value, label, lang }) => (
          <label key={value} class="choice-option" lang={lang}>
            <input
              type="radio"
              name={name}
              value={value}
              checked={value === props.value}
              onChange={() => props.onChange(value)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
