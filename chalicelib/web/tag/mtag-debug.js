try{
(()=>{console.log(1);})();
}catch{}
