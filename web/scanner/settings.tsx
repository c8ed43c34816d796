import { useState } from 'react';
import type { LumisError } from '../../sdk/index.ts';
import { ConfirmDialog, Sheet } from '../shared/dialog.tsx';
import { LanguageSwitch, ThemeSwitch } from '../shared/switches.tsx';
import { api } from './api.ts';
import type { Habits } from './session.ts';
import { canVibrate, playSound, unlockSound, vibrate } from './sound.ts';
import { useMoreWords as useWords } from './words-more.ts';

export interface SettingsSheetProps {
  isOpen: boolean;
  habits: Habits;
  isOnShift: boolean;
  onChange(next: Partial<Habits>): void;
  onEnd(): void;
  onUnpaired(): void;
  onClose(): void;
}

/** Switches, language, theme, and the two ways out: of the shift, and of the pairing. */
export function SettingsSheet(props: SettingsSheetProps) {
  const { isOpen, habits, isOnShift, onChange, onEnd, onUnpaired, onClose } = props;
  const words = useWords();
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();

  const test = () => {
    unlockSound();
    if (habits.has_sound) playSound('deliver');
    if (habits.has_vibration) vibrate('deliver');
  };
  const unpair = async () => {
    setBusy(true);
    try {
      await api.merchant.signOutDevice();
      onUnpaired();
    } catch (error) {
      // refused: the server has forgotten this phone already
      if ((error as LumisError).code === 'unauthorized') onUnpaired();
      else setFault(words.unpair_failed);
    } finally {
      setBusy(false);
      setAsking(false);
    }
  };
  return (
    <>
      <Sheet
        isOpen={isOpen}
        title={words.settings}
        onClose={onClose}
        actions={
          <>
            {isOnShift && (
              <button type="button" class="button button-quiet" onClick={onEnd}>
                {words.end}
              </button>
            )}
            <button type="button" class="button button-plain" onClick={() => setAsking(true)}>
              {words.unpair}
            </button>
            <button type="button" class="button button-primary" onClick={onClose}>
              {words.close}
            </button>
          </>
        }
      >
        <div class="stack switches">
          <Switch
            label={words.sound}
            isOn={habits.has_sound}
            onChange={(has_sound) => onChange({ has_sound })}
          />
          {canVibrate() && (
            <Switch
              label={words.vibration}
              isOn={habits.has_vibration}
              onChange={(has_vibration) => onChange({ has_vibration })}
            />
          )}
          <Switch
            label={words.goes_on}
            isOn={habits.goes_on}
            onChange={(goes_on) => onChange({ goes_on })}
          />
          <button type="button" class="button button-quiet" onClick={test}>
            {words.test}
          </button>
        </div>
        <LanguageSwitch />
        <ThemeSwitch />
        <p class="field-error" role="alert">
          {fault}
        </p>
      </Sheet>
      <ConfirmDialog
        isOpen={isAsking}
        title={words.unpair_title}
        confirmLabel={words.unpair_do}
        cancelLabel={words.unpair_keep}
        isBusy={isBusy}
        isDanger
        onConfirm={unpair}
        onCancel={() => setAsking(false)}
      >
        <p>{words.unpair_what}</p>
      </ConfirmDialog>
    </>
  );
}

interface SwitchProps {
  label: string;
  isOn: boolean;
  onChange(isOn: boolean): void;
}

function Switch({ label, isOn, onChange }: SwitchProps) {
  return (
    <label class="switch">
      <span>{label}</span>
      <input
        type="checkbox"
        role="switch"
        aria-checked={isOn}
        checked={isOn}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </label>
  );
}
