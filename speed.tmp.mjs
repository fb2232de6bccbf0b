const MAIN=process.env.MAIN??'/work/main', NEW='/work/trees/engine';
const imp=(root,p)=>import(root+'/'+p);
const {big,small,initialParameters}=await imp(NEW,'test/dist/bench/models.js');
const tb=await imp(NEW,'test/dist/bench/training-batch.js');
import {fork} from 'node:child_process';
const neu=await imp(NEW,'libs/tensor/dist/index.js');
const al=await imp(NEW,'libs/alignment/dist/index.js');
const {layoutOf,decayMask}=await imp(NEW,'libs/training/dist/trainer/layout.js');
const {gradientProgram,lossInputs}=await imp(NEW,'libs/training/dist/trainer/program.js');
const config=process.env.BIG?big:small,T=64,ALL=16,rows=+(process.env.ROWS??8);
const LR=tb.LEARNING_RATE;
const median=(x)=>x.toSorted((a,b)=>a-b)[x.length>>1];
const layout=layoutOf({policy:config});
const adamW=neu.adamWKernel(al.adamw);
const f=(x)=>Float32Array.of(x);
async function make(engine){
  const names=Object.keys(layout.specs);
  const state=Object.fromEntries(['p','m','v','g'].flatMap(k=>names.map(n=>[`${k}.${n}`,layout.specs[n]])));
  const batches=tb.microBatches(config,ALL,T,rows);
  const gp=gradientProgram(layout,tb.nextTokenLoss(config),batches[0].specs);
  const mask=layout.views(decayMask(layout));
  const space=await engine.open(state);
  await space.add({
    gradient:{inputs:{...batches[0].specs,normaliser:neu.float32()},reads:names.map(n=>'p.'+n),run:(s,i)=>{const r=gp({...Object.fromEntries(names.map(n=>[n,s['p.'+n]])),...i});return{outputs:{loss:r.loss},added:Object.fromEntries(names.map(n=>['g.'+n,r['gradient.'+n]]))}}},
    norm:{inputs:{},reads:names.map(n=>'g.'+n),run:(s)=>({outputs:{sum:neu.sumOfSquares(Object.values(s))}})},
    apply:{inputs:{lr:neu.float32(),biasCorrection1:neu.float32(),biasCorrection2:neu.float32(),gradScale:neu.float32()},reads:Object.keys(state),inPlace:[],run:(s,sc)=>({next:Object.assign({},...names.map(n=>{const r=adamW({p:s['p.'+n],g:s['g.'+n],m:s['m.'+n],v:s['v.'+n]},{...sc,beta1:.9,beta2:.999,eps:1e-8,weightDecay:mask[n][0]?.01:0});return{['p.'+n]:r.p,['m.'+n]:r.m,['v.'+n]:r.v,['g.'+n]:tf.zerosLike(s['g.'+n])}}))})},
  });
  const init=initialParameters(config);
  await space.load(Object.fromEntries(names.map(n=>['p.'+n,init[n.slice(7)]])));
  let t=0; const parts={gradient:[],norm:[],apply:[]};
  return {parts,space,run:async()=>{
    const t0=performance.now();
    const out=await Promise.all(batches.map(b=>space.run('gradient',{...b.buffers,normaliser:f(ALL*T)})));
    const t1=performance.now();
    const {sum}=await space.run('norm',{});
    const t2=performance.now();
    t++; const norm=Math.sqrt(sum[0]);
    await space.run('apply',{lr:f(LR),biasCorrection1:f(1-.9**t),biasCorrection2:f(1-.999**t),gradScale:f(Math.min(1,1/(norm+1e-6)))});
    const t3=performance.now();
    parts.gradient.push(t1-t0);parts.norm.push(t2-t1);parts.apply.push(t3-t2);
    return out.reduce((s,o)=>s+o.loss[0],0);
  }};
}
import * as tf from '@tensorflow/tfjs';
const child=fork('/tmp/base/old.mjs',{stdio:['ignore','ignore','inherit','ipc']});await new Promise(f=>child.once('message',f));
const present={run:(k=1)=>new Promise(f=>{child.once('message',(m)=>{present.cpu=m.cpu;f(m.loss);});child.send(k);}),many:true};
const made={[`old, 2 workers`]:present,[`engine, 2 workers`]:await make(neu.onnxPool({workers:2})),[`engine, 1 worker`]:await make(neu.onnxPool({workers:1}))};
const losses={};
for(const[n,m]of Object.entries(made)){losses[n]=[];for(let i=0;i<(process.env.BIG?2:10);i++)losses[n].push(await m.run());}
for(const[n,l]of Object.entries(losses))console.log(n.padEnd(24),'loss',l.at(-1));
const cpu=Object.fromEntries(Object.keys(made).map(n=>[n,[]]));
const times=Object.fromEntries(Object.keys(made).map(n=>[n,[]]));
for(let r=0;r<(process.env.BIG?4:12);r++)for(const n of r%2?Object.keys(made).toReversed():Object.keys(made)){await made[n].run();const k=process.env.BIG?1:5;const u=process.cpuUsage();const t=performance.now();if(made[n].many)await made[n].run(k);else for(let c=0;c<k;c++)await made[n].run();times[n].push((performance.now()-t)/k);{const d=process.cpuUsage(u);cpu[n].push(made[n].many?made[n].cpu/k:(d.user+d.system)/1000/k);}}
for(const[n,v]of Object.entries(times))console.log(n.padEnd(24),'cpu',median(cpu[n]).toFixed(1),'best',Math.min(...cpu[n]).toFixed(1),'wall',median(v).toFixed(1),'ms best',Math.min(...v).toFixed(1),Object.entries(made[n].parts??{}).map(([k,x])=>`${k} ${median(x).toFixed(2)} (${Math.min(...x).toFixed(2)})`).join(' '));
child.kill();process.exit(0);
