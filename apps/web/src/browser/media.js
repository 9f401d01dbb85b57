// Pictures, sounds and videos for a message, and the microphone.
import { mediaKind } from '../core/models.js';
import { wavFile } from '../core/wav.js';

// A file of the user → { kind, name, type, url }; kind is null for what is no media.
export async function mediaItem(file) {
  const kind = mediaKind(file);
  return { kind, name: file.name, type: file.type, url: kind ? await dataUrl(file) : '' };
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// Why there can be no recording, or ''.
export function microphoneRefusal() {
  if (!window.isSecureContext)
    return 'browsers allow the microphone only over https or on localhost';
  if (!navigator.mediaDevices || !window.MediaRecorder) return 'this browser cannot record';
  return '';
}

// The rate that the model listens at.
const kRate = 16000;

// Records until stop() is called, which gives the recording as a WAV file.
export async function startRecording() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const stopped = new Promise((resolve) => {
    recorder.onstop = resolve;
  });
  recorder.start();
  return {
    async stop() {
      recorder.stop();
      await stopped;
      stream.getTracks().forEach((track) => track.stop());
      const samples = await decode(await new Blob(pieces).arrayBuffer());
      const file = new Blob([wavFile(samples, kRate)], { type: 'audio/wav' });
      return { kind: 'audio', name: 'recording.wav', type: 'audio/wav', url: await dataUrl(file) };
    },
  };
}

// What the browser recorded → samples of one channel at our rate.
async function decode(data) {
  const context = new OfflineAudioContext(1, 1, kRate);
  const sound = await context.decodeAudioData(data);
  const mixing = new OfflineAudioContext(1, sound.length, kRate);
  const source = mixing.createBufferSource();
  source.buffer = sound;
  source.connect(mixing.destination);
  source.start();
  return (await mixing.startRendering()).getChannelData(0);
}
