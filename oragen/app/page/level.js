// Sound of a microphone -> a meter, so that its owner sees that it is heard.

const EVERY_MS = 100;
const FULL = 0.3; // root mean square of loud speech

/** Shows how loud a stream is. */
export class Level {
  #meter;
  #context = null;
  #timer = null;

  constructor(meter) {
    this.#meter = meter;
  }

  follow(stream) {
    this.stop();
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      this.#meter.value = Math.min(1, Math.sqrt(power) / FULL);
    }, EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#context?.close();
    this.#context = null;
    this.#meter.value = 0;
  }
}
