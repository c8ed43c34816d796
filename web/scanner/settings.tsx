import { useState } from 'react';
import type { LumisError } from '../../sdk/index.ts';
import { ConfirmDialog, Sheet } from '../shared/dialog.tsx';
import { LanguageSwitch, ThemeSwitch } from '../shared/switches.tsx';
import { api } from './api.ts';
import type { Habits } from './session.ts';
import { canVibrate, signal, unlockSound } from './sound.ts';
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
  const { isOpen, isOnShift, onEnd, onUnpaired, onClose } = props;
  const words = useWords();
  const unpairing = useUnpairing(onUnpaired);
  return (
    <>
      <Sheet
        isOpen={isOpen}
        title={words.settings}
        onClose={onClose}
        actions={
          <>
            {isOnShift && (
              <button
                type="button"
                class="button button-quiet"
                onClick={() => {
                  onClose();
                  onEnd();
                }}
              >
                {words.end}
              </button>
            )}
            <button type="button" class="button button-plain" onClick={unpairing.ask}>
              {words.unpair}
            </button>
            <button type="button" class="button button-primary" onClick={onClose}>
              {words.close}
            </button>
          </>
        }
      >
        <Switches {...props} />
        <LanguageSwitch />
        <ThemeSwitch />
        <p class="field-error" role="alert">
          {unpairing.fault}
        </p>
      </Sheet>
      <ConfirmDialog
        isOpen={unpairing.isAsking}
        title={words.unpair_title}
        confirmLabel={words.unpair_do}
        cancelLabel={words.unpair_keep}
        isBusy={unpairing.isBusy}
        isDanger
        onConfirm={unpairing.unpair}
        onCancel={unpairing.keep}
      >
        <p>{words.unpair_what}</p>
      </ConfirmDialog>
    </>
  );
}

/** Gives up this phone's access: at the server first, so that a phone never only looks unpaired. */
function useUnpairing(onUnpaired: () => void) {
  const words = useWords();
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  return {
    isAsking,
    isBusy,
    fault,
    ask() {
      setFault(undefined);
      setAsking(true);
    },
    keep: () => setAsking(false),
    async unpair() {
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
    },
  };
}

/** How a verdict is heard and felt, and what follows it. */
function Switches({ habits, onChange }: Pick<SettingsSheetProps, 'habits' | 'onChange'>) {
  const words = useWords();
  const test = () => {
    unlockSound();
    signal('deliver', habits);
  };
  return (
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
